"""The imperative shell: command line, studies of published results, figures, files."""
