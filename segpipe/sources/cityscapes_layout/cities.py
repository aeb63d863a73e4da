"""The 50 cities of Cityscapes and the split of each.

The folders of the published packages leftImg8bit_trainvaltest.zip and leftImg8bit_trainextra.zip;
no city stands in two of them (Cordts et al., "The Cityscapes dataset for semantic urban scene
understanding", CVPR 2016, section 2). `train_extra` has coarse truth alone.
"""

_BY_SPLIT = {
    "train": (
        "aachen bochum bremen cologne darmstadt dusseldorf erfurt hamburg hanover jena krefeld "
        "monchengladbach strasbourg stuttgart tubingen ulm weimar zurich"
    ),
    "val": "frankfurt lindau munster",
    "test": "berlin bielefeld bonn leverkusen mainz munich",
    "train_extra": (
        "augsburg bad-honnef bamberg bayreuth dortmund dresden duisburg erlangen freiburg "
        "heidelberg heilbronn karlsruhe konigswinter konstanz mannheim muhlheim-ruhr nuremberg "
        "oberhausen saarbrucken schweinfurt troisdorf wuppertal wurzburg"
    ),
}

SPLIT_OF = {city: split for split, cities in _BY_SPLIT.items() for city in cities.split()}
