"""Links between pages, as they are in the repository, as links between those of the site."""


def setup(app):
    return {"parallel_read_safe": True}
