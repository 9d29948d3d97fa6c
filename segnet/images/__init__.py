"""Picture files: reading them exactly, writing PNG, drawing labels."""
