"""The supervisor's main program for a project without a gateway: what a test declares is all that runs.

Run by its path, with the arguments of `strangler.run.launch`.
"""

from strangler.run.launch import main

main(built_ins=lambda config, system: [])
