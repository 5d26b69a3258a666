"""SDXL and PhotoMaker."""
