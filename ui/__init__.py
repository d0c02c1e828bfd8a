"""The studio: one page, its requests, jobs and outputs."""

from gradio import component_meta

# Gradio writes a .pyi file beside the source of every component class. Ours are no package of
# components, and type checkers would believe the stale copies.
component_meta.create_or_modify_pyi = lambda *_: None
