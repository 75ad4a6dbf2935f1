"""Prints SeaweedFS's configuration of who may do what; tests/support_s3 has the same names.

The secret of a principal is its name in capitals and SECRET; nobody reaches these servers from
outside the machine.
"""

import json
import pathlib

ANYTHING = ["arn:aws:s3:::*", "arn:aws:s3:::*/*"]
READING = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention", "s3:GetObjectLegalHold",
           "s3:GetObjectAttributes"]
LISTING = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation",
           "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"]
PUTTING = ["s3:PutObject", "s3:PutObjectRetention"]
SMALL = [f"arn:aws:s3:::*/{folder}/*"
         for folder in ("vault", "ledger", "generations", "snapshots")]


def allow(actions, resources):
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


POLICIES = {
    # The nightly job where it may do nothing but put.
    "host": [allow(PUTTING, ["arn:aws:s3:::*/*"])],
    # The nightly job that may also read what is small and public.
    "host2": [allow(PUTTING, ["arn:aws:s3:::*/*"]), allow(READING, SMALL),
              allow(["s3:ListBucket", "s3:ListBucketVersions"], ["arn:aws:s3:::*"])],
    "auditor": [allow(READING + LISTING, ANYTHING)],
    "janitor": [allow(READING + LISTING + PUTTING, ANYTHING),
                allow(["s3:DeleteObject", "s3:DeleteObjectVersion",
                       "s3:BypassGovernanceRetention"], ["arn:aws:s3:::*/*"])],
    "operator": [allow(READING + LISTING + PUTTING + ["s3:RestoreObject"], ANYTHING)],
    # Whoever may do nothing at all, with credentials that are known.
    "nobody": [allow(["s3:ListAllMyBuckets"], ["*"])],
}


# The policies that operators are given, word for word; a place of the tests is below t….
ROLES = pathlib.Path(__file__).resolve().parents[2] / "spec" / "policies"
NAMES = ("host-strict", "host", "janitor", "operator", "auditor", "shredder")
for role in NAMES:
    text = (ROLES / f"{role}.json").read_text()
    text = text.replace("BUCKET", "tests-*").replace("PREFIX", "t*")
    POLICIES[f"role-{role}"] = json.loads(text)["Statement"]


def identity(name, **rights):
    credentials = [{"accessKey": f"{name.upper()}KEY", "secretKey": f"{name.upper()}SECRET"}]
    return {"name": name, "credentials": credentials, **rights}


def policy(name, statements):
    return {"name": name,
            "content": json.dumps({"Version": "2012-10-17", "Statement": statements})}


everything = ["Admin", "Read", "List", "Tagging", "Write"]
identities = [identity("admin", actions=everything)]
identities += [identity(name, actions=[], policyNames=[name]) for name in POLICIES]
# What these may do, tests/support_s3/gate.rs says: it knows conditions that this server does not.
identities += [identity(f"gated-{role}", actions=everything) for role in NAMES]
policies = [policy(name, statements) for name, statements in POLICIES.items()]
print(json.dumps({"identities": identities, "policies": policies}, indent=1))
