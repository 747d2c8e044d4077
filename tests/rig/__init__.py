"""The black-box rig: everything here knows supd only by its processes and its wire."""
