"""The papers' claims: printed numbers, errata, audits, and the ledger of what can be reproduced."""
