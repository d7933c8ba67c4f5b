"""What people look at: figures, tables and one HTML page per run."""
