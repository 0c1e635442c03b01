"""People: added and taken away by several keys, in sessions, counted only when they are enough, made into lookalikes."""

import hashlib

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience

import sandbox
from steps import equal, refused, step, walk

Schema = CustomAudience.Schema
Keys = Schema.MultiKeySchema
PEOPLE = 1_500

made = {}


def account():
    return AdAccount(sandbox.ACCOUNT)


def audience():
    return CustomAudience(made["audience"])


def members():
    """How many people the sandbox itself knows in the audience."""
    rows = {row["id"]: row["members"] for row in sandbox.world()["customaudiences"]}
    return rows[made["audience"]]


def mails(first, last):
    return [f" Person{number}@Example.org " for number in range(first, last)]


@step
def an_audience_is_made_and_empty():
    params = {
        CustomAudience.Field.name: "Buyers",
        CustomAudience.Field.description: "People who bought",
        CustomAudience.Field.subtype: CustomAudience.Subtype.custom,
        CustomAudience.Field.customer_file_source: CustomAudience.CustomerFileSource.user_provided_only,
    }
    made["audience"] = account().create_custom_audience(params=params)["id"]
    read = audience().api_get(fields=["name", "subtype", "approximate_count_lower_bound", "operation_status", "time_created"])
    equal((read["name"], read["subtype"]), ("Buyers", "CUSTOM"))
    equal(read["approximate_count_lower_bound"], -1)
    assert isinstance(read["time_created"], int), read
    refused(100, account().create_custom_audience, params={"name": "No source", "subtype": "CUSTOM"})


@step
def people_are_added_by_one_key_which_the_sdk_hashes():
    answer = audience().add_users(Schema.email_hash, mails(0, 5)).json()
    equal((answer["audience_id"], answer["num_received"], answer["num_invalid_entries"]), (made["audience"], 5, 0))
    equal(members(), 5)
    # The same people in another spelling are the same people.
    audience().add_users(Schema.email_hash, [mail.strip().upper() for mail in mails(0, 5)])
    equal(members(), 5)


@step
def people_are_added_by_telephone_and_by_device():
    phones = [hashlib.sha256(f"1555000{number}".encode()).hexdigest() for number in range(3)]
    equal(audience().add_users(Schema.phone_hash, phones, pre_hashed=True).json()["num_received"], 3)
    devices = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(2)]
    equal(audience().add_users(Schema.mobile_advertiser_id, devices).json()["num_invalid_entries"], 0)
    equal(members(), 10)


@step
def people_are_added_by_many_keys_at_once():
    keys = [Keys.email, Keys.fn, Keys.ln, Keys.ct, Keys.zip, Keys.country, Keys.extern_id]
    rows = [[f"new{number}@example.org", "Mary", "O'Neil", "New York", "10001-1234", "USA", f"c-{number}"] for number in range(4)]
    answer = audience().add_users(keys, rows, is_raw=True).json()
    equal((answer["num_received"], answer["num_invalid_entries"]), (4, 0))
    equal(members(), 14)


@step
def what_is_no_hash_is_counted_and_left_out():
    answer = audience().add_users(Schema.email_hash, ["plain@example.org"], pre_hashed=True).json()
    equal((answer["num_received"], answer["num_invalid_entries"]), (1, 1))
    equal(members(), 14)


@step
def people_are_taken_away_by_the_query_of_a_delete():
    answer = audience().remove_users(Schema.email_hash, mails(0, 2)).json()
    equal((answer["num_received"], answer["num_invalid_entries"]), (2, 0))
    equal(members(), 12)


@step
def many_people_come_in_a_session_of_batches():
    session = {"session_id": 9_778_993, "estimated_num_total": PEOPLE}
    third = PEOPLE // 3
    for number in range(3):
        people = mails(10_000 + number * third, 10_000 + (number + 1) * third)
        batch = {**session, "batch_seq": number + 1, "last_batch_flag": number == 2}
        answer = audience().add_users(Schema.email_hash, people, session=batch).json()
        equal((answer["session_id"], answer["num_received"]), ("9778993", third))
    told = list(audience().get_sessions(params={"session_id": 9_778_993}))
    equal(len(told), 1)
    equal((told[0]["num_received"], told[0]["num_invalid_entries"], told[0]["stage"]), (str(PEOPLE), "0", "complete"))
    equal(members(), 12 + PEOPLE)


@step
def an_audience_fills_while_it_is_looked_at():
    seen = [audience().api_get(fields=["operation_status"])["operation_status"]["code"] for _ in range(4)]
    equal((seen[0], seen[-1]), (441, 200))
    read = audience().api_get(fields=["approximate_count_lower_bound", "approximate_count_upper_bound", "delivery_status"])
    assert 1_000 <= read["approximate_count_lower_bound"] <= read["approximate_count_upper_bound"], read
    equal(read["delivery_status"]["code"], 200)


@step
def too_many_rows_in_one_call_are_refused():
    error = refused(100, audience().add_users, Schema.email_hash, mails(0, 10_001))
    assert error.api_blame_field_specs(), error.body()
    equal(members(), 12 + PEOPLE)


@step
def a_lookalike_grows_from_it():
    spec = {"type": "similarity", "ratio": 0.02, "country": "US"}
    params = {
        "name": "Like buyers",
        "subtype": CustomAudience.Subtype.lookalike,
        "origin_audience_id": made["audience"],
        "lookalike_spec": spec,
    }
    lookalike = account().create_custom_audience(params=params)
    read = CustomAudience(lookalike["id"]).api_get(fields=["subtype", "lookalike_spec", "operation_status"])
    equal((read["subtype"], read["lookalike_spec"]["country"]), ("LOOKALIKE", "US"))
    refused(100, account().create_custom_audience, params={**params, "origin_audience_id": "1"})
    made["lookalike"] = lookalike["id"]


@step
def visitors_are_an_audience_by_a_rule():
    rule = {
        "inclusions": {
            "operator": "or",
            "rules": [
                {
                    "event_sources": [{"id": sandbox.DATASET, "type": "pixel"}],
                    "retention_seconds": 2_592_000,
                    "filter": {"operator": "and", "filters": [{"field": "url", "operator": "i_contains", "value": "shoes"}]},
                }
            ],
        }
    }
    visitors = account().create_custom_audience(params={"name": "Visitors", "rule": rule, "prefill": True})
    read = CustomAudience(visitors["id"]).api_get(fields=["subtype", "rule"])
    equal(read["subtype"], "WEBSITE")
    # The rule comes back as text.
    assert isinstance(read["rule"], str) and "i_contains" in read["rule"], read


@step
def audiences_are_listed_changed_and_deleted():
    audience().api_update(params={"name": "Buyers, all"})
    found = {row["id"]: row["name"] for row in account().get_custom_audiences(fields=["name"])}
    equal(found[made["audience"]], "Buyers, all")
    CustomAudience(made["lookalike"]).api_delete()
    assert made["lookalike"] not in [row["id"] for row in account().get_custom_audiences()]


@step
def an_audience_is_shared_with_another_account():
    audience().share_audience([sandbox.ACCOUNTS[1][4:]])
    shared = [row["id"] for row in audience().get_ad_accounts()]
    assert sandbox.ACCOUNTS[1] in shared, shared
    audience().unshare_audience([sandbox.ACCOUNTS[1][4:]])
    assert sandbox.ACCOUNTS[1] not in [row["id"] for row in audience().get_ad_accounts()]


@step
def a_list_is_replaced_as_a_whole():
    people = [[hashlib.sha256(f"only{number}@example.org".encode()).hexdigest()] for number in range(7)]
    payload = {"schema": ["EMAIL"], "data": people}
    session = {"session_id": 77, "batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 7}
    audience().create_users_replace(params={"payload": payload, "session": session})
    equal(members(), 7)


sandbox.connect()
walk()
