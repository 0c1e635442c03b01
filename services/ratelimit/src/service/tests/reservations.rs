//! Points held for a job, over the whole service.

use proto::ratelimit::v1::reserve_response::Decision as Reserved;
use uuid::Uuid;

use super::*;

impl Running {
    async fn reserve(&self, name: Uuid, cost: u32, seconds: u64) -> Option<Reserved> {
        let charges = vec![pb::Charge { scope: Some(self.scope()), cost }];
        let now = std::time::UNIX_EPOCH + Duration::from_millis(self.bench.store.now_ms().try_into().unwrap());
        let request = pb::ReserveRequest {
            charges,
            priority: pb::Priority::Interactive.into(),
            until: Some((now + Duration::from_secs(seconds)).into()),
            reservation_id: name.to_string(),
        };
        let request = rpc::for_tenant(request, &self.tenant.parse().unwrap());
        self.service().reserve(request).await.unwrap().into_inner().decision
    }

    async fn held(&self, name: Uuid, cost: u32) -> Vec<u8> {
        match self.reserve(name, cost, 600).await {
            Some(Reserved::Reservation(reservation)) => reservation.value,
            decision => panic!("not held: {decision:?}"),
        }
    }

    async fn ask_under(&self, reservation: &[u8], cost: u32, tenant: &str) -> Result<Decision, tonic::Status> {
        let mut ask = self.ask(cost).into_inner();
        ask.reservation = reservation.to_vec();
        let mut request = rpc::for_tenant(ask, &tenant.parse().unwrap());
        request.set_timeout(Duration::from_secs(60));
        Ok(self.service().acquire(request).await?.into_inner().decision.unwrap())
    }
}

#[tokio::test]
async fn what_is_held_for_a_job_is_refused_to_others_and_given_to_it() {
    let running = Running::start().await;
    let value = running.held(Uuid::new_v4(), 200).await;
    let quota = running.quota(&running.tenant).await;
    assert_eq!(quota.used, 0, "{quota:?}");
    let others = running.ask_under(b"", 92, &running.tenant).await.unwrap();
    assert!(matches!(&others, Decision::Wait(wait) if wait.reason() == pb::WaitReason::Ceiling), "{others:?}");
    let job = running.ask_under(&value, 92, &running.tenant).await.unwrap();
    assert!(matches!(job, Decision::Permit(_)), "{job:?}");
    let quota = running.quota(&running.tenant).await;
    assert_eq!((quota.used, quota.held), (92, 108));
    assert!(quota.why.contains("108 of it are held"), "{}", quota.why);
}

#[tokio::test]
async fn what_is_given_back_goes_to_who_was_refused() {
    let running = Running::start().await;
    let value = running.held(Uuid::new_v4(), 200).await;
    let refused = running.ask_under(b"", 92, &running.tenant).await.unwrap();
    assert!(matches!(refused, Decision::Wait(_)), "{refused:?}");
    let give_back = pb::ReleaseRequest { reservations: vec![value.clone(), b"forged".to_vec()], permits: vec![] };
    running.service().release(give_back).await.unwrap();
    let taken = running.ask_under(b"", 92, &running.tenant).await.unwrap();
    assert!(matches!(taken, Decision::Permit(_)), "{taken:?}");
    // What was given back holds nothing: its calls go like any other.
    let late = running.ask_under(&value, 200, &running.tenant).await.unwrap();
    assert!(matches!(late, Decision::Wait(_)), "{late:?}");
}

#[tokio::test]
async fn a_second_reservation_under_the_same_name_replaces_the_first() {
    let running = Running::start().await;
    let name = Uuid::new_v4();
    running.permit(1).await;
    running.held(name, 200).await;
    running.held(name, 250).await;
    assert_eq!(running.quota(&running.tenant).await.held, 250);
    let other = running.reserve(Uuid::new_v4(), 60, 600).await;
    let Some(Reserved::Wait(wait)) = other else { panic!("held: {other:?}") };
    assert_eq!((wait.reason(), wait.binding_scope), (pb::WaitReason::Ceiling, Some(running.scope())));
    assert!(wait.delay.unwrap().seconds >= 540, "{:?}", wait.delay);
}

#[tokio::test]
async fn nobody_uses_or_makes_the_reservation_of_another() {
    let running = Running::start().await;
    let value = running.held(Uuid::new_v4(), 10).await;
    let error = running.ask_under(&value, 1, "stranger").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(format!("{:?}", error.get_error_details()).contains("reservation"), "{error:?}");
    // What nobody signed holds nothing: 10 of 291 are kept for who has them.
    let forged = running.ask_under(b"forged", 282, &running.tenant).await.unwrap();
    assert!(matches!(forged, Decision::Wait(_)), "{forged:?}");
    let request = rpc::for_tenant(pb::ReserveRequest::default(), &running.tenant.parse().unwrap());
    let error = running.outsider().reserve(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_reservation_that_cannot_be_is_told_field_by_field() {
    let running = Running::start().await;
    let wrong = pb::ReserveRequest { reservation_id: "plan 1".to_owned(), ..Default::default() };
    let error = running.service().reserve(rpc::for_tenant(wrong, &running.tenant.parse().unwrap())).await.unwrap_err();
    let fields = error.get_error_details().bad_request().unwrap().field_violations.clone();
    let fields: Vec<String> = fields.into_iter().map(|violation| violation.field).collect();
    assert_eq!(fields, ["priority", "until", "reservation_id", "charges"]);
    let never = running.reserve(Uuid::new_v4(), 400, 600).await;
    let is_never = matches!(&never, Some(Reserved::Wait(wait)) if wait.reason() == pb::WaitReason::CostAboveCeiling);
    assert!(is_never, "{never:?}");
}
