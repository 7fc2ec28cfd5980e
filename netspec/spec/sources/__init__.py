"""Where the text of a spec comes from: bundled specs by name, files by path, and models that hold a spec."""
