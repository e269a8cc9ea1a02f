"""Secret stores: one file each behind the small interface in `store`."""
