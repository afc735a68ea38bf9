//! Collections: `{"value": […], "@odata.nextLink": "…"}`.

use serde_json::Value;

use super::client::Graph;
use super::error::GraphError;
use super::http::Request;

/// More pages than any tenant has groups of 10,000; ends a service that links in circles.
const MOST_PAGES: usize = 2_000;

impl Graph {
    /// All items of a collection. The next link is followed verbatim, on Graph's own origin only, with the same headers;
    /// an empty page is no end.
    pub(super) fn collection(&self, first: Request) -> Result<Vec<Value>, GraphError> {
        let page = self.object(&first)?;
        self.rest_of_collection(page, first)
    }

    /// The items of `page` and of all that follow it. `first` tells headers and purpose.
    pub(super) fn rest_of_collection(&self, page: Value, first: Request) -> Result<Vec<Value>, GraphError> {
        let mut items = Vec::new();
        let mut request = first;
        let mut page = page;
        for _ in 0..MOST_PAGES {
            let Some(Value::Array(more)) = page.get_mut("value").map(Value::take) else {
                return Err(GraphError::malformed(
                    &request.doing,
                    "A list is asked for, and the answer has no `value`.",
                ));
            };
            items.extend(more);
            match page.get("@odata.nextLink") {
                None | Some(Value::Null) => return Ok(items),
                Some(Value::String(link)) => request.url = self.next_link(link, &request.doing)?,
                Some(_) => return Err(GraphError::malformed(&request.doing, "`@odata.nextLink` is no text.")),
            }
            page = self.object(&request)?;
        }
        Err(GraphError::malformed(&request.doing, format!("The list does not end after {MOST_PAGES} pages.")))
    }
}
