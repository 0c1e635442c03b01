//! Two tenants of one ad account, over a real socket.

use super::*;

impl Running {
    fn other(&self) -> String {
        format!("other-{}", self.account)
    }

    /// How much is admitted of one cost of the account's ads_management, one call at a time, up to a number.
    async fn floods(&self, tenant: &str, priority: pb::Priority, most: u32) -> u32 {
        let mut admitted = 0;
        while admitted < most && self.refused(tenant, priority).await.is_none() {
            admitted += 1;
        }
        admitted
    }

    async fn refused(&self, tenant: &str, priority: pb::Priority) -> Option<pb::Wait> {
        let ask = pb::AcquireRequest { priority: priority.into(), ..self.ask(1).into_inner() };
        let mut ask = rpc::for_tenant(ask, &tenant.parse().unwrap());
        ask.set_timeout(Duration::from_secs(60));
        match self.service().acquire(ask).await.unwrap().into_inner().decision {
            Some(Decision::Wait(wait)) => Some(wait),
            _ => None,
        }
    }

    /// Both have used the account once, and share it with these weights.
    async fn share(&self, weights: [u32; 2], borrow_max_percent: Option<u32>) {
        let tenants = [self.tenant.clone(), self.other()];
        for tenant in &tenants {
            assert_eq!(self.refused(tenant, pb::Priority::Interactive).await, None);
        }
        let weight =
            |(tenant, weight): (&String, u32)| pb::TenantWeight { tenant: format!("tenants/{tenant}"), weight };
        let weights = tenants.iter().zip(weights).map(weight).collect();
        let policy = pb::QuotaPolicy { weights, borrow_max_percent, ..self.policy() };
        self.set(policies::update(policy, &["weights", "borrow_max_percent"]), "*").await.unwrap();
    }
}

#[tokio::test]
async fn one_tenants_flood_leaves_the_other_its_share() {
    let running = Running::start().await;
    running.share([1, 1], Some(0)).await;
    // 97 % of its 150; one was spent before it was shared.
    assert_eq!(running.floods(&running.tenant, pb::Priority::Interactive, 300).await, 145);
    let wait = running.refused(&running.tenant, pb::Priority::Interactive).await.unwrap();
    let scope = wait.binding_scope.clone().unwrap();
    assert_eq!((wait.reason(), scope.kind()), (pb::WaitReason::Ceiling, pb::ScopeKind::TenantShare));
    assert_eq!(
        running.floods(&running.other(), pb::Priority::Interactive, 300).await,
        144,
        "291, less the two and 145"
    );
}

#[tokio::test]
async fn what_others_do_not_use_can_be_borrowed_up_to_the_most_and_by_weight() {
    let running = Running::start().await;
    running.share([2, 1], None).await;
    let other = running.other();
    // A third of 300 and half of the rest are 200, of which 97 % may be interactive.
    assert_eq!(running.floods(&other, pb::Priority::Interactive, 300).await, 194);
    assert_eq!(running.floods(&other, pb::Priority::Safety, 5).await, 5, "safety passes beyond a share");
    assert_eq!(running.floods(&running.tenant, pb::Priority::Interactive, 300).await, 291 - 2 - 194 - 5);
    let shown = |tenant: &str| {
        let scope = pb::Scope {
            kind: pb::ScopeKind::TenantShare.into(),
            id: format!("{other}/{}", running.account),
            ..running.scope()
        };
        running.of_tenant(pb::GetQuotaRequest { scope: Some(scope) }, tenant)
    };
    let quota = running.outsider().get_quota(shown(&other)).await.unwrap().into_inner().quota.unwrap();
    assert_eq!((quota.limit, quota.used), (Some(200), 199));
    assert!(quota.why.contains("100 of 300, and 50 % of the rest"), "{}", quota.why);
    let foreign = running.outsider().get_quota(shown(&running.tenant)).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound, "another's share is nobody's business");
}

#[tokio::test]
async fn whoever_is_alone_has_everything_and_no_share() {
    let running = Running::start().await;
    assert_eq!(running.floods(&running.tenant, pb::Priority::Interactive, 300).await, 291);
    let used = running.bench.store.used_by(&running.tenant.parse().unwrap()).await.unwrap();
    assert!(used.iter().all(|key| !key.contains("tenant_share")), "{used:?}");
}
