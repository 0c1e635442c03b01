//! The customers into an audience: rows in, sessions out, and what was refused.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use prost::Message;
use proto::audiences::v1::{
    AppendMembersRequest, Audience, CreateAudienceRequest, CreateMemberJobRequest, CustomerList, GetAudienceRequest,
    GetMemberJobRequest, IdentifierForm, MemberError, MemberErrorEffect, MemberJob, MemberMode, RunMemberJobRequest,
    RunMemberJobResult, audience::Kind, create_audience_response::Outcome,
};
use uuid::Uuid;

use super::{OperationFailed, Target, brief, people::People, step::Step};

/// As many rows as one `AppendMembers` takes.
const ROWS_MAX: usize = 1_000;
/// Rows named for one reason.
const SHOWN_ROWS_MAX: usize = 5;

/// What became of the rows.
pub(crate) struct Filled {
    pub(crate) audience: Audience,
    pub(crate) job: MemberJob,
    pub(crate) result: RunMemberJobResult,
    pub(crate) remarks: Vec<Remark>,
}

/// Rows with the same fault.
pub(crate) struct Remark {
    pub(crate) effect: MemberErrorEffect,
    pub(crate) field: String,
    pub(crate) message: String,
    /// Where the first of them stand in the file.
    pub(crate) places: Vec<String>,
    pub(crate) count: usize,
}

/// Makes the audience.
pub(crate) async fn create(target: &Target, brief: &brief::Audience) -> Result<Audience> {
    let request = CreateAudienceRequest {
        parent: target.account(),
        audience: Some(Audience {
            name: Some(brief.name.get_ref().clone()),
            description: Some(brief.description.clone()),
            kind: Some(Kind::CustomerList(CustomerList { customer_file_source: "USER_PROVIDED_ONLY".to_owned() })),
            ..Audience::default()
        }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    match target.client.audiences().create_audience(request).await?.into_inner().outcome {
        Some(Outcome::Audience(audience)) => Ok(audience),
        Some(Outcome::Operation(operation)) => {
            let done = target.client.wait(&operation.name, |_| {}).await?;
            OperationFailed::check(&done, "the audience could not be made")?;
            match super::result(&done) {
                Some(bytes) => Ok(Audience::decode(bytes.as_slice())?),
                None => bail!("whether the audience was made is unknown; the operation {} says more", operation.name),
            }
        }
        None => bail!("the service answered without an audience"),
    }
}

/// Sends the rows, runs the job and waits for it.
pub(crate) async fn fill(target: &Target, audience: Audience, people: &People, step: &Step) -> Result<Filled> {
    let members = &people.members;
    let mut client = target.client.members();
    let request = CreateMemberJobRequest {
        audience: audience.resource_name.clone(),
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let job = client.create_member_job(request).await?.into_inner().job.unwrap_or_default();
    step.length(members.len());
    let (mut sequence, mut errors) = (job.next_sequence, Vec::new());
    for rows in members.chunks(ROWS_MAX) {
        let request = AppendMembersRequest {
            job: job.name.clone(),
            sequence,
            rows: rows.to_vec(),
            request_id: Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let answer = client.append_members(request).await?.into_inner();
        sequence = answer.next_sequence;
        errors.extend(answer.rejected);
        errors.extend(answer.dropped);
        step.advance(rows.len());
    }
    let request =
        RunMemberJobRequest { job: job.name.clone(), request_id: Uuid::new_v4().to_string(), validate_only: false };
    let operation = client.run_member_job(request).await?.into_inner().operation.unwrap_or_default();
    let done = target.client.wait(&operation.name, |operation| step.follow(operation)).await?;
    OperationFailed::check(&done, &format!("the upload into {} stopped", audience.resource_name))?;
    let result = super::result(&done).map(|bytes| RunMemberJobResult::decode(bytes.as_slice())).transpose()?;
    let job = client.get_member_job(GetMemberJobRequest { name: job.name }).await?.into_inner().job.unwrap_or_default();
    let name = audience.resource_name.clone();
    let read = target.client.audiences().get_audience(GetAudienceRequest { name, freshness: None }).await?;
    let audience = read.into_inner().audience.unwrap_or(audience);
    Ok(Filled { audience, job, result: result.unwrap_or_default(), remarks: remarks(errors, people) })
}

fn remarks(errors: Vec<MemberError>, people: &People) -> Vec<Remark> {
    let mut sorted: BTreeMap<(i32, String, String), Vec<i64>> = BTreeMap::new();
    for error in errors {
        let (effect, row) = (error.effect, error.row);
        sorted.entry((effect, error.field, error.message)).or_default().push(row);
    }
    let remark = |((effect, field, message), rows): ((i32, String, String), Vec<i64>)| Remark {
        effect: MemberErrorEffect::try_from(effect).unwrap_or_default(),
        field,
        message,
        count: rows.len(),
        places: rows.into_iter().take(SHOWN_ROWS_MAX).map(|row| people.place(row)).collect(),
    };
    sorted.into_iter().map(remark).collect()
}
