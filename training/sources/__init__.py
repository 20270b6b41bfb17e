"""Data sets in the forms that others publish them in, one file each: ``marey data convert`` reads them."""
