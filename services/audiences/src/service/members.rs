//! `MemberService`.

use proto::audiences::v1::{self as pb, add_members_request::Part, member_service_server::MemberService};
use rpc::FieldError;
use tonic::{Request, Response, Status, Streaming};
use vocabulary::Clock;

use super::MemberApi;
use crate::{audiences::Freshness, members::Appended, store::Job, wire};

/// The most errors that a stream remembers for its answer, of both kinds together; ListMemberErrors has all.
const ERRORS_KEPT: usize = 2_000;

#[tonic::async_trait]
impl<C: Clock> MemberService for MemberApi<C> {
    async fn create_member_job(
        &self,
        request: Request<pb::CreateMemberJobRequest>,
    ) -> Result<Response<pb::CreateMemberJobResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let open = wire::open(&request)?;
        // Only for an audience that the tenant has; what is not stored is read from Meta.
        self.audiences.get(&caller.tenant, open.account, open.audience, Freshness::Stored).await?;
        let job = self.members.open(&caller, open).await?;
        Ok(Response::new(pb::CreateMemberJobResponse { job: Some(wire::job(&job)) }))
    }

    async fn add_members(
        &self,
        request: Request<Streaming<pb::AddMembersRequest>>,
    ) -> Result<Response<pb::AddMembersResponse>, Status> {
        let (caller, mut stream) = rpc::open(request)?;
        let Some(Part::Header(header)) = stream.message().await?.and_then(|message| message.part) else {
            return Err(FieldError::new("header", "must be the first message", "HEADER_FIRST").into());
        };
        let name = wire::job_name("header.job", &header.job)?;
        if header.sequence < 1 {
            return Err(FieldError::new("header.sequence", "must be at least 1", "SEQUENCE").into());
        }
        let job = self.members.get(&caller.tenant, name).await?;
        let appended = self.append_all(&caller.subject, &job, header.sequence, stream).await?;
        let (rejected, dropped) = wire::rejected_and_dropped(appended.errors);
        Ok(Response::new(pb::AddMembersResponse {
            accepted: appended.accepted,
            rejected,
            dropped,
            next_sequence: appended.next_sequence,
        }))
    }

    async fn append_members(
        &self,
        request: Request<pb::AppendMembersRequest>,
    ) -> Result<Response<pb::AppendMembersResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        wire::optional_request_id(&request.request_id)?;
        let job = self.members.get(&caller.tenant, wire::job_name("job", &request.job)?).await?;
        let appended =
            self.members.append(&caller.subject, &job, request.sequence, request.rows, request.validate_only).await?;
        let (rejected, dropped) = wire::rejected_and_dropped(appended.errors);
        Ok(Response::new(pb::AppendMembersResponse {
            accepted: appended.accepted,
            rejected,
            dropped,
            next_sequence: appended.next_sequence,
        }))
    }

    async fn run_member_job(
        &self,
        request: Request<pb::RunMemberJobRequest>,
    ) -> Result<Response<pb::RunMemberJobResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        wire::optional_request_id(&request.request_id)?;
        let job = self.members.get(&caller.tenant, wire::job_name("job", &request.job)?).await?;
        let operation = self.members.run(&caller, &job, request.validate_only).await?;
        Ok(Response::new(pb::RunMemberJobResponse { operation: Some(operation) }))
    }

    async fn get_member_job(
        &self,
        request: Request<pb::GetMemberJobRequest>,
    ) -> Result<Response<pb::GetMemberJobResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let job = self.members.get(&caller.tenant, wire::job_name("name", &request.name)?).await?;
        Ok(Response::new(pb::GetMemberJobResponse { job: Some(wire::job(&job)) }))
    }

    async fn list_member_errors(
        &self,
        request: Request<pb::ListMemberErrorsRequest>,
    ) -> Result<Response<pb::ListMemberErrorsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let name = wire::job_name("name", &request.name)?;
        let page = wire::member_page(&request, &caller.tenant, &self.pages)?;
        let job = self.members.get(&caller.tenant, name).await?;
        let mut found = self.members.errors(&job, page.row_rejected, page.after, page.size + 1).await?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|last| format!("{} {}", last.row, last.number));
        let next_page_token = last.map(|key| self.pages.seal(&caller.tenant, &page.list, &key)).unwrap_or_default();
        Ok(Response::new(pb::ListMemberErrorsResponse { rows: wire::errors(found), next_page_token }))
    }
}

impl<C: Clock> MemberApi<C> {
    /// Takes the parts of a stream, each stored before the next is read, so that a slow store slows the sender. A part
    /// that is refused ends the stream; those before it stay.
    async fn append_all(
        &self,
        actor: &str,
        job: &Job,
        first: i64,
        mut stream: Streaming<pb::AddMembersRequest>,
    ) -> Result<Appended, Status> {
        let mut sum = Appended { next_sequence: job.next_sequence, ..Appended::default() };
        let mut sequence = first;
        while let Some(message) = stream.message().await? {
            let Some(Part::Rows(rows)) = message.part else {
                return Err(FieldError::new("rows", "must be in every message after the first", "ROWS_EXPECTED").into());
            };
            let appended = self.members.append(actor, job, sequence, rows.rows, false).await?;
            sum.accepted += appended.accepted;
            sum.next_sequence = appended.next_sequence;
            let room = ERRORS_KEPT.saturating_sub(sum.errors.len());
            sum.errors.extend(appended.errors.into_iter().take(room));
            sequence = sequence.saturating_add(1);
        }
        Ok(sum)
    }
}
