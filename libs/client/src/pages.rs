//! Lists, page by page.

use futures::{Stream, TryStreamExt, stream};
use tonic::Status;

/// All rows of a list. `page` reads the page after a token, empty for the first, and gives its rows and the next token.
///
/// ```ignore
/// let all = list_all(async |page_token| {
///     let request = ListCampaignsRequest { parent: parent.clone(), page_token, ..Default::default() };
///     let page = client.campaigns().list_campaigns(request).await?.into_inner();
///     Ok((page.campaigns, page.next_page_token))
/// });
/// ```
pub fn list_all<T, F>(page: F) -> impl Stream<Item = Result<T, Status>>
where
    F: AsyncFn(String) -> Result<(Vec<T>, String), Status>,
{
    let pages = stream::try_unfold((page, Some(String::new())), async |(page, token)| {
        let Some(token) = token else { return Ok::<_, Status>(None) };
        let (rows, next) = page(token).await?;
        let next = (!next.is_empty()).then_some(next);
        Ok(Some((stream::iter(rows.into_iter().map(Ok)), (page, next))))
    });
    pages.try_flatten()
}
