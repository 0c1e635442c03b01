use proto::campaigns::v1 as pb;
use proto::campaigns::v1::ad_account_service_server::AdAccountService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::{error::Error, freshness::Wanted, store::accounts::Account, wire, wire::Paging};

#[tonic::async_trait]
impl AdAccountService for Api {
    async fn get_ad_account(
        &self,
        request: Request<pb::GetAdAccountRequest>,
    ) -> Result<Response<pb::GetAdAccountResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::account(&request.name)?;
        let wanted = Wanted::of(request.freshness.as_ref())?;
        let read = self.0.account(&caller.tenant, account, &wanted).await?.map(|account| account.message())?;
        Ok(Response::new(pb::GetAdAccountResponse { ad_account: Some(read.value), read_info: Some(read.info) }))
    }

    async fn list_ad_accounts(
        &self,
        request: Request<pb::ListAdAccountsRequest>,
    ) -> Result<Response<pb::ListAdAccountsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (size, token) = (request.page_size, request.page_token.as_str());
        let paging = Paging::of(&self.0, &caller.tenant, "ad_accounts", &(), size, token)?;
        let after = paging.key()?.unwrap_or(0);
        let rows = self.0.store.accounts(&caller.tenant, after, paging.size).await.map_err(Error::from)?;
        let last = rows.last().map(|account| account.id.to_string());
        let next_page_token = paging.next(&self.0, rows.len(), last);
        let ad_accounts: Result<Vec<_>, Error> = rows.iter().map(Account::message).collect();
        Ok(Response::new(pb::ListAdAccountsResponse { ad_accounts: ad_accounts?, next_page_token }))
    }
}
