"""Course files: groups, their policies and members as a file that people review. Read, compared, and written back."""
