"""A program that knows Adplane only by its protos: it checks a campaign, applies a plan, fills an audience, sends
events and reads a report; then the stack is killed with SIGKILL and must remember all of it.

Ends with a line `N passed, N failed`.
"""

import contextlib
import datetime
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import uuid

import grpc

from ports import free_port_base

from adplane.audiences.v1 import audience_pb2, audience_service_pb2, audience_service_pb2_grpc
from adplane.audiences.v1 import member_pb2, member_service_pb2, member_service_pb2_grpc
from adplane.auth.v1 import connection_service_pb2, connection_service_pb2_grpc
from adplane.auth.v1 import credential_service_pb2, credential_service_pb2_grpc
from adplane.campaigns.v1 import ad_pb2, ad_set_pb2, bidding_pb2, campaign_pb2, creative_pb2, promoted_object_pb2
from adplane.campaigns.v1 import campaign_service_pb2, campaign_service_pb2_grpc
from adplane.campaigns.v1 import media_service_pb2, media_service_pb2_grpc, status_pb2, targeting_pb2
from adplane.conversions.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from adplane.insights.v1 import query_pb2, report_pb2, report_service_pb2, report_service_pb2_grpc
from adplane.operations.v1 import operation_service_pb2, operation_service_pb2_grpc
from adplane.plans.v1 import plan_pb2, plan_service_pb2, plan_service_pb2_grpc
from adplane.ratelimit.v1 import quota_pb2, quota_service_pb2, quota_service_pb2_grpc

ROOT = pathlib.Path(__file__).resolve().parents[3]
START_SECONDS = 120
OPERATION_SECONDS = 90
CALL_SECONDS = 30


class Stack:
    """`adplane dev` as a child process."""

    def __init__(self, adplane, data, port_base):
        command = [adplane, "dev", "--data", str(data), "--port-base", str(port_base)]
        self.log = open(pathlib.Path(data).parent / "dev.log", "a", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stack did not start: {pathlib.Path(self.log.name).read_text()}")
        self.ready = json.loads(line)
        self.channel = grpc.insecure_channel(self.ready["gateway"].removeprefix("http://"))
        self.account = "adAccounts/" + self.ready["ad_account"]
        self.dataset = "datasets/" + self.ready["dataset"]

    def call(self, stub, method, request, **options):
        metadata = [("authorization", "Bearer " + options.pop("token", self.ready["token"]))]
        return getattr(stub(self.channel), method)(request, timeout=CALL_SECONDS, metadata=metadata)

    def finish(self, operation):
        """Waits for an operation and gives its last state."""
        deadline = time.monotonic() + OPERATION_SECONDS
        while not operation.done:
            assert time.monotonic() < deadline, f"{operation.name} did not end: {operation}"
            time.sleep(0.1)
            request = operation_service_pb2.GetOperationRequest(name=operation.name)
            operation = self.call(operation_service_pb2_grpc.OperationServiceStub, "GetOperation", request).operation
        assert not operation.HasField("error"), operation.error
        return operation

    def stop(self, how):
        self.channel.close()
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.log.close()


def request_id():
    return str(uuid.uuid4())


def refused(code, call, *arguments, **options):
    """The ErrorInfo of a call that must fail with this code."""
    try:
        answer = call(*arguments, **options)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        raw = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        assert b"google.rpc.ErrorInfo" in raw, "a failure without ErrorInfo"
        return raw
    raise AssertionError(f"not refused: {answer}")


def campaign(**fields):
    return campaign_pb2.Campaign(
        name="From Python",
        objective=bidding_pb2.OBJECTIVE_OUTCOME_TRAFFIC,
        **{"daily_budget": 5_000, **fields},
    )


class Walk:
    """The steps, in order; what one leaves behind the next ones use."""

    def __init__(self, stack):
        self.stack = stack
        self.made = {}

    def a_campaign_is_checked_and_not_made(self):
        stub = campaign_service_pb2_grpc.CampaignServiceStub
        before = self.campaigns()
        request = campaign_service_pb2.CreateCampaignRequest(
            parent=self.stack.account, campaign=campaign(), request_id=request_id(), validate_only=True
        )
        self.stack.call(stub, "CreateCampaign", request)
        assert self.campaigns() == before, "validate_only made something"

    def a_wrong_field_is_named_and_never_reaches_meta(self):
        stub = campaign_service_pb2_grpc.CampaignServiceStub
        before = self.arrivals()
        request = campaign_service_pb2.CreateCampaignRequest(
            parent=self.stack.account, campaign=campaign(daily_budget=-1), request_id=request_id()
        )
        raw = refused(grpc.StatusCode.INVALID_ARGUMENT, self.stack.call, stub, "CreateCampaign", request)
        assert b"campaign.daily_budget" in raw
        assert self.arrivals() == before, "a bad request reached Meta"

    def a_campaign_is_made_once_for_one_request_id(self):
        stub = campaign_service_pb2_grpc.CampaignServiceStub
        request = campaign_service_pb2.CreateCampaignRequest(
            parent=self.stack.account, campaign=campaign(), request_id=request_id()
        )
        first = self.stack.call(stub, "CreateCampaign", request).campaign
        again = self.stack.call(stub, "CreateCampaign", request).campaign
        assert first.resource_name and first.resource_name == again.resource_name
        assert first.effective_status == status_pb2.EFFECTIVE_STATUS_PAUSED, "not made PAUSED"
        self.made["campaign"] = first.resource_name

    def a_token_of_nobody_and_an_internal_method_are_refused(self):
        stub = campaign_service_pb2_grpc.CampaignServiceStub
        request = campaign_service_pb2.ListCampaignsRequest(parent=self.stack.account)
        refused(grpc.StatusCode.UNAUTHENTICATED, self.stack.call, stub, "ListCampaigns", request, token="nobody")
        lease = credential_service_pb2.LeaseCredentialRequest(resource=self.stack.account, purpose="campaigns.read")
        internal = credential_service_pb2_grpc.CredentialServiceStub
        refused(grpc.StatusCode.UNIMPLEMENTED, self.stack.call, internal, "LeaseCredential", lease)

    def a_plan_is_applied(self):
        stub = plan_service_pb2_grpc.PlanServiceStub
        request = plan_service_pb2.CreatePlanRequest(parent=self.stack.account, plan=self.plan(), request_id=request_id())
        plan = self.stack.call(stub, "CreatePlan", request).plan
        diff = self.stack.call(stub, "DiffPlan", plan_service_pb2.DiffPlanRequest(name=plan.name))
        assert diff.changes and diff.calls
        request = plan_service_pb2.ApplyPlanRequest(name=plan.name, etag=plan.etag, request_id=request_id())
        operation = self.stack.finish(self.stack.call(stub, "ApplyPlan", request).operation)
        result = plan_pb2.ApplyPlanResult()
        assert operation.result.Unpack(result)
        statuses = {created.effective_status for created in result.created if created.effective_status}
        assert len(result.created) >= 4 and not statuses & {"ACTIVE"}, result
        self.made["plan"] = plan.name

    def an_audience_is_filled(self):
        audiences, members = audience_service_pb2_grpc.AudienceServiceStub, member_service_pb2_grpc.MemberServiceStub
        request = audience_service_pb2.CreateAudienceRequest(
            parent=self.stack.account,
            audience=audience_pb2.Audience(
                name="From Python",
                customer_list=audience_pb2.CustomerList(customer_file_source="USER_PROVIDED_ONLY"),
            ),
            request_id=request_id(),
        )
        audience = self.stack.call(audiences, "CreateAudience", request).audience.resource_name
        request = member_service_pb2.CreateMemberJobRequest(
            audience=audience,
            mode=member_pb2.MEMBER_MODE_ADD,
            identifiers=member_pb2.IDENTIFIER_FORM_RAW,
            request_id=request_id(),
        )
        job = self.stack.call(members, "CreateMemberJob", request).job
        rows = [member_pb2.Member(email=f"person{number}@example.org") for number in range(50)]
        rows.append(member_pb2.Member(email="no address"))
        header = member_service_pb2.AddMembersHeader(job=job.name, sequence=job.next_sequence)
        parts = [
            member_service_pb2.AddMembersRequest(header=header),
            member_service_pb2.AddMembersRequest(rows=member_service_pb2.MemberRows(rows=rows)),
        ]
        added = self.stack.call(members, "AddMembers", iter(parts))
        assert added.accepted == 50 and [error.row for error in added.rejected] == [50], added
        request = member_service_pb2.RunMemberJobRequest(job=job.name, request_id=request_id())
        operation = self.stack.finish(self.stack.call(members, "RunMemberJob", request).operation)
        result = member_pb2.RunMemberJobResult()
        assert operation.result.Unpack(result) and result.received == 50, operation

    def events_are_accepted_and_delivered(self):
        results = self.send_events("python", 5)
        assert all(result.state == event_pb2.EVENT_STATE_PENDING for result in results), results
        again = self.send_events("python", 5)
        assert all(result.state == event_pb2.EVENT_STATE_DEDUPLICATED for result in again), again
        self.wait_for_delivery("python-0")
        old = self.event("python-old")
        old.event_time.FromDatetime(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=9))
        request = event_service_pb2.SendEventsRequest(dataset=self.stack.dataset, events=[old], request_id=request_id())
        stub = event_service_pb2_grpc.EventServiceStub
        result = self.stack.call(stub, "SendEvents", request).results[0]
        assert result.error.field_violations[0].field.endswith("event_time"), result

    def a_report_equals_the_account_s_totals(self):
        stub = report_service_pb2_grpc.ReportServiceStub
        today = datetime.date.today()
        period = query_pb2.TimeRange(
            since=str(today - datetime.timedelta(days=14)), until=str(today - datetime.timedelta(days=1))
        )
        query = query_pb2.Query(
            level=query_pb2.LEVEL_CAMPAIGN,
            fields=["spend", "impressions", "clicks", "actions"],
            time_range=period,
            time_increment="1",
        )
        request = report_service_pb2.CreateReportRequest(parent=self.stack.account, query=query, request_id=request_id())
        operation = self.stack.finish(self.stack.call(stub, "CreateReport", request).operation)
        name = operation.metadata.resource
        report = self.stack.call(stub, "GetReport", report_service_pb2.GetReportRequest(name=name)).report
        assert report.reconciliation == report_pb2.RECONCILIATION_MATCHED, report
        rows, token = [], ""
        while True:
            request = report_service_pb2.ListReportRowsRequest(name=name, page_size=10, page_token=token)
            page = self.stack.call(stub, "ListReportRows", request)
            rows.extend(page.rows)
            token = page.next_page_token
            if not token:
                break
        assert len(rows) == report.row_count > 0
        spend = sum(row.spend.minor_units for row in rows)
        assert spend == report.control_totals.spend.minor_units > 0, (spend, report.control_totals)

    def the_quota_shows_what_was_used(self):
        stub = quota_service_pb2_grpc.QuotaServiceStub
        quotas = self.stack.call(stub, "ListQuotas", quota_service_pb2.ListQuotasRequest()).quotas
        used = {quota.scope.use_case: quota.used for quota in quotas if quota.scope.kind == quota_pb2.SCOPE_KIND_AD_ACCOUNT}
        assert used.get("ads_management", 0) > 0 and used.get("ads_insights", 0) > 0, quotas

    def a_second_stack_remembers(self, previous):
        """After SIGKILL: the same campaigns, the same vault, and nothing that was accepted is lost."""
        names = self.campaigns()
        assert previous.made["campaign"] in names, names
        stub = plan_service_pb2_grpc.PlanServiceStub
        plan = self.stack.call(stub, "GetPlan", plan_service_pb2.GetPlanRequest(name=previous.made["plan"])).plan
        assert plan.state == plan_pb2.PLAN_STATE_APPLIED
        stub = connection_service_pb2_grpc.ConnectionServiceStub
        connections = self.stack.call(stub, "ListConnections", connection_service_pb2.ListConnectionsRequest()).connections
        assert len(connections) == 1, connections
        for number in range(40):
            self.wait_for_delivery(f"late-{number}")

    def wait_for_delivery(self, event_id):
        stub = event_service_pb2_grpc.EventServiceStub
        request = event_service_pb2.GetEventRequest(dataset=self.stack.dataset, event_id=event_id, event_name="Purchase")
        deadline = time.monotonic() + OPERATION_SECONDS
        while (event := self.stack.call(stub, "GetEvent", request).event).state != event_pb2.EVENT_STATE_DELIVERED:
            assert time.monotonic() < deadline, event
            time.sleep(0.1)

    def send_events(self, prefix, count):
        events = [self.event(f"{prefix}-{number}") for number in range(count)]
        request = event_service_pb2.SendEventsRequest(dataset=self.stack.dataset, events=events, request_id=request_id())
        return self.stack.call(event_service_pb2_grpc.EventServiceStub, "SendEvents", request).results

    def event(self, event_id):
        event = event_pb2.Event(
            event_name="Purchase",
            event_id=event_id,
            action_source="system_generated",
            user_data=event_pb2.UserData(em=["person@example.org"]),
            custom_data=event_pb2.CustomData(value="12.90", currency="USD"),
        )
        event.event_time.FromDatetime(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5))
        return event

    def campaigns(self):
        stub = campaign_service_pb2_grpc.CampaignServiceStub
        request = campaign_service_pb2.ListCampaignsRequest(parent=self.stack.account, page_size=1_000)
        return {campaign.resource_name for campaign in self.stack.call(stub, "ListCampaigns", request).campaigns}

    def arrivals(self):
        with urllib.request.urlopen(self.stack.ready["sandbox"] + "/__sandbox/requests") as answer:
            lines = [json.loads(line) for line in answer.read().splitlines()]
        return sum(1 for line in lines if line["method"] == "POST")

    def plan(self):
        picture = (ROOT / "deploy/demo/pictures/mug.png").read_bytes()
        header = media_service_pb2.UploadImageHeader(
            parent=self.stack.account,
            file_name="mug.png",
            sha256=hashlib.sha256(picture).digest(),
            bytes_total=len(picture),
            request_id=request_id(),
        )
        parts = [
            media_service_pb2.UploadImageRequest(header=header),
            media_service_pb2.UploadImageRequest(chunk=picture),
        ]
        image = self.stack.call(media_service_pb2_grpc.MediaServiceStub, "UploadImage", iter(parts)).image
        ad_set = ad_set_pb2.AdSet(
            temporary_id="-2",
            name="Readers",
            campaign_id="-1",
            billing_event=bidding_pb2.BILLING_EVENT_IMPRESSIONS,
            optimization_goal=bidding_pb2.OPTIMIZATION_GOAL_LINK_CLICKS,
            targeting=targeting_pb2.Targeting(
                geo_locations=targeting_pb2.GeoLocations(countries=["US"]),
                targeting_automation=targeting_pb2.TargetingAutomation(advantage_audience=0),
            ),
        )
        link = creative_pb2.LinkData(link="https://shop.example.com/", message="Look", name="Shop", image_hash="-3")
        creative = creative_pb2.Creative(
            temporary_id="-4",
            name="Look",
            object_story_spec=creative_pb2.ObjectStorySpec(page_id="3000000000000001", link_data=link),
        )
        ad = ad_pb2.Ad(
            temporary_id="-5", name="Look", adset_id="-2", creative=ad_pb2.CreativeRef(creative_id="-4")
        )
        return plan_pb2.Plan(
            campaign=campaign(temporary_id="-1"),
            ad_sets=[ad_set],
            media=[plan_pb2.Media(temporary_id="-3", image_hash=image.hash)],
            creatives=[creative],
            ads=[ad],
        )


class Count:
    passed = failed = 0

    def step(self, step, *arguments):
        began = time.monotonic()
        name = step.__name__.replace("_", " ")
        try:
            step(*arguments)
        except Exception:
            self.failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc()
        else:
            self.passed += 1
            print(f"ok      {name}  ({time.monotonic() - began:.1f} s)", flush=True)


def main(adplane):
    count = Count()
    base = free_port_base()
    with tempfile.TemporaryDirectory(prefix="adplane-python-") as folder:
        data = pathlib.Path(folder) / "data"
        data.mkdir()
        stack = Stack(adplane, data, base)
        first = Walk(stack)
        try:
            for step in (
                first.a_campaign_is_checked_and_not_made,
                first.a_wrong_field_is_named_and_never_reaches_meta,
                first.a_campaign_is_made_once_for_one_request_id,
                first.a_token_of_nobody_and_an_internal_method_are_refused,
                first.a_plan_is_applied,
                first.an_audience_is_filled,
                first.events_are_accepted_and_delivered,
                first.a_report_equals_the_account_s_totals,
                first.the_quota_shows_what_was_used,
            ):
                count.step(step)
            first.send_events("late", 40)
        finally:
            stack.stop(signal.SIGKILL)
        stack = Stack(adplane, data, base)
        try:
            count.step(Walk(stack).a_second_stack_remembers, first)
        finally:
            stack.stop(signal.SIGTERM)
    print(f"python client: {count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
