"""The report: one HTML file that answers the question of a study and works without a network.

`render.write_report` writes it. Nothing is imported here, because the command line uses its words alone too.
"""
