"""The dashboards that are committed, for review and for import by hand: the demo park's, in every language.

`make generate` writes them again; a test asserts that they are current.
"""

from dashboards.grafana.files import dashboard_files
from dashboards.model.languages import languages, load_texts
from dashboards.model.site import Site


def committed_files(demo: Site) -> dict[str, str]:
    """Return the text of every committed dashboard by its path in the project."""
    return {
        f"dashboards/generated/{language}/{name}": text
        for language in languages()
        for name, text in dashboard_files(demo, load_texts(language)).items()
    }
