"""Let tests import what Ansible would: module_utils as ansible.module_utils.hamesh, modules by name."""

import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path[:0] = [str(ROOT / "library"), str(ROOT / "action_plugins"), str(ROOT / "tests")]
