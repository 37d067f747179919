"""How ``make docs`` builds this folder."""

project = "LLM Service"
extensions = ["myst_parser"]
root_doc = "index"
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "body_max_width": "none"}
html_show_copyright = False
myst_heading_anchors = 3
# Documents also link to files of the repository, which are not part of the documentation.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
