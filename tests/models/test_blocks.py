import torch

from segpipe.models.parts.blocks import joined


def test_joined_maps_have_dense_gradients_equal_to_those_of_cat():
    random = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, channels, 6, 5, generator=random) for channels in (3, 4)]
    for layout in (torch.contiguous_format, torch.channels_last):
        once, twice = (
            [one.clone(memory_format=layout).requires_grad_() for one in maps] for _ in range(2)
        )
        seen: list[torch.Tensor] = []
        inner = [one * 1.0 for one in once]
        for one in inner:
            one.register_hook(seen.append)
        (joined(*inner) ** 3).sum().backward()
        (torch.cat(twice, dim=1) ** 3).sum().backward()
        assert all(torch.equal(a.grad, b.grad) for a, b in zip(once, twice, strict=True))
        assert len(seen) == 2
        assert all(gradient.is_contiguous(memory_format=layout) for gradient in seen)
