"""The studio: one page, its requests, jobs and outputs."""
