"""One package from the site to the disk: continued after every break, and verified at its end."""

from segpipe.sources.download.body import Body
from segpipe.sources.download.catalogue import Package, forbidden, published_digest
from segpipe.sources.download.display import Display, readable, tell
from segpipe.sources.download.faults import DownloadError, SiteError, TransientError
from segpipe.sources.download.halt import Halt
from segpipe.sources.download.part import Origin, Part
from segpipe.sources.download.session import Site

_LONG_TO_DIGEST = 1 << 30


class Transfer:
    """The way of one package, with what it needs on the way."""

    def __init__(self, package: Package, part: Part, site: Site, halt: Halt) -> None:
        self.package = package
        self.part = part
        self._site = site
        self._halt = halt
        self._counted = part.size  # of the bytes that are there, those that the display shows

    @property
    def expected(self) -> int:
        """Bytes of the whole package, as exactly as they are known."""
        return self.part.origin.size or max(self.package.about, self.part.size)

    @property
    def missing(self) -> int:
        """Bytes that have to come, as exactly as they are known."""
        return self.expected - min(self.part.size, self.expected)

    def run(self, display: Display) -> None:
        """Bring and verify the package; DownloadError or SiteError says why not. Raises StoppedError."""
        try:
            md5 = published_digest(self.package, self._site)
            self._drop_part_of_another(md5, display)
            self._bring(md5, display)
            self.part.finish(md5)
        except OSError as error:  # of the disk: those of the network are TransientErrors by now
            reason = self.part.unwritable(error)
        else:
            how = (
                "MD5 as published" if md5 else "the site publishes no MD5 of it; size as announced"
            )
            tell(f"{self.package.name}: {readable(self.part.path.stat().st_size)} are here ({how})")
            return
        raise SiteError(reason)

    def _drop_part_of_another(self, md5: str | None, display: Display) -> None:
        before = self.part.origin.md5
        if md5 and before and md5 != before:
            tell(f"{self.package.name}: the site has another file by this name now; begun anew")
            self._restart(display)
            self.part.belongs_to(Origin(md5))
        elif md5 != before:
            self.part.belongs_to(Origin(md5, self.part.origin.size, self.part.origin.etag))

    def _bring(self, md5: str | None, display: Display) -> None:
        """Ask for what is missing until nothing is."""
        name = self.package.name
        retries = self._site.retries(name)
        if self.part.size > _LONG_TO_DIGEST:
            tell(f"{name}: reading the {readable(self.part.size)} that are here")
        while not self.part.is_complete:
            self.part.digest_kept(self._halt)
            before = self.part.size
            try:
                if self._continue(md5, display):
                    break
                setback = TransientError(f"the connection was cut at {readable(self.part.size)}")
            except TransientError as failure:
                setback = failure.with_traceback(None)
            if self.part.size - before >= self._site.patience.worthwhile:
                retries.progressed()
            retries.again(setback, self.part.kept())
        self.part.digest_kept(self._halt)

    def _continue(self, md5: str | None, display: Display) -> bool:
        """Ask once for what is missing; return whether the end of the file was reached."""
        name = self.package.name
        with self._site.ask(
            self.package.path, name, forbidden(name, self._site), self._range(md5)
        ) as body:
            if self._answers_with_the_rest(body, md5, display):
                return True
            with self.part.appending() as append:
                for chunk in body.chunks():
                    append(chunk)
                    self._counted += len(chunk)
                    display.add(len(chunk))
        # Without a size the end of the answer is the end of the file, and the digest decides.
        return self.part.origin.size is None or self.part.is_complete

    def _range(self, md5: str | None) -> dict[str, str]:
        """Return the headers that ask for what is missing (RFC 9110, 13.1.5 and 14.2).

        If-Range is sent only where no digest is published: a digest tells more surely whether the
        file is the same one, and servers behind one address may disagree about its entity tag.
        """
        if not self.part.size:
            return {}
        headers = {"Range": f"bytes={self.part.size}-"}
        etag = self.part.origin.etag
        if md5 is None and etag:
            headers["If-Range"] = etag
        return headers

    def _answers_with_the_rest(self, body: Body, md5: str | None, display: Display) -> bool:
        """Prepare the part for the bytes of `body`; return True when none are due any more."""
        first, size = body.extent()
        if body.response.status_code == 416:
            if self.part.size == size or (md5 is not None and self.part.md5 == md5):
                self._note(Origin(md5, self.part.size, self.part.origin.etag), display)
                return True
            self._restart(display)
            self._note(Origin(md5), display)
            raise TransientError(
                "the part that is here does not fit the file on the site; begun anew"
            )
        if not body.first():
            raise TransientError("the connection was cut before the first byte")
        self._refuse_what_is_no_package(body, md5, size)
        if body.response.status_code == 200 and self.part.size:
            tell(f"{self.package.name}: the site sends the file from its beginning; begun anew")
            self._restart(display)
        elif md5 is None and self.part.origin.size not in (None, size):
            self._restart(display)
            self._note(Origin(), display)
            raise TransientError("the file on the site has another size now; begun anew")
        elif first != self.part.size:
            raise TransientError(
                f"{self._site.host} sends another part of the file than was asked for"
            )
        etag = body.response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else None  # a weak one does not vouch for bytes
        self._note(Origin(md5, size, strong), display)
        return False

    def _refuse_what_is_no_package(self, body: Body, md5: str | None, size: int | None) -> None:
        name, host = self.package.name, self._site.host
        if body.response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadError(
                f"{name}: {host}, or a proxy on the way, sends it compressed, so that it cannot be "
                "continued; download it with a browser and name the folder in source.path"
            )
        zipped = body.response.status_code != 200 or body.first().startswith(b"PK")
        if name.endswith(".zip") and not zipped:
            raise DownloadError(
                f"{name}: {host} sends something that is no zip archive; what is here was kept. "
                f"Look at {self._site.address}/downloads/ with a browser"
            )
        if md5 is None and size is None:
            raise DownloadError(
                f"{name}: {host} tells neither its size nor its MD5, so nobody could say whether "
                "it is whole; download it with a browser and name the folder in source.path"
            )

    def _note(self, origin: Origin, display: Display) -> None:
        before = self.expected
        self.part.belongs_to(origin)
        display.expect(self.expected - before)

    def _restart(self, display: Display) -> None:
        self.part.restart()
        display.add(-self._counted)
        self._counted = 0
