//! REST as the load test uses it: threads made, messages sent and read, refusals waited out.

use std::time::Duration;

use reqwest::{Client, Method, Url, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    checker::{History, Name, Row},
    frames::Data,
    target::Target,
};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How often something that must succeed is asked again after a refusal that may pass.
const TRIES: u32 = 20;
/// How long to wait where the server does not say.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest wait that is obeyed.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Connections that are kept for the next request.
const IDLE_MAX: usize = 64;
/// Rows of one page: a server's own limit may be lower.
const PAGE: usize = 100;

/// A client with the users' tokens.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    target: Target,
}

/// A request that was not answered with success.
#[derive(Debug)]
pub struct Refused {
    /// The server's code, or what the network did.
    pub code: String,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// When.
    pub retry_after: Option<Duration>,
}

/// A thread as it is shown.
#[derive(Debug, Deserialize)]
struct Thread {
    thread_id: String,
    sequence: u64,
}

impl Rest {
    /// For a target.
    ///
    /// # Errors
    /// In words.
    pub fn new(target: Target) -> Result<Rest, String> {
        let client = Client::builder()
            .no_proxy()
            // The address that was looked at, and no other that the name may have later.
            .resolve(target.url.host_str().unwrap_or_default(), target.address)
            .redirect(Policy::none())
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_MAX)
            .user_agent("hailgate-bench");
        let client = client.build().map_err(|error| format!("no http client can be made: {error}"))?;
        Ok(Rest { client, target })
    }

    /// Asks once; the text of the answer.
    ///
    /// # Errors
    /// The refusal.
    pub async fn ask(&self, method: Method, url: Url, token: &str, body: Option<String>) -> Result<String, Refused> {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
            #[serde(default)]
            retry_after_ms: Option<u64>,
        }
        let network = |code: &str| Refused { code: code.to_owned(), retryable: true, retry_after: None };
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|_| network("not_answered"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| network("not_answered"))?;
        if status.is_success() {
            return Ok(text);
        }
        let retryable = status.as_u16() == 429 || status.as_u16() == 408 || status.is_server_error();
        let problem = serde_json::from_str::<Problem>(&text);
        let problem =
            problem.unwrap_or_else(|_| Problem { code: format!("status_{}", status.as_u16()), retry_after_ms: None });
        let retry_after = problem.retry_after_ms.map(|ms| Duration::from_millis(ms).min(PAUSE_MAX));
        Err(Refused { code: problem.code, retryable, retry_after })
    }

    /// Asks until there is an answer, a while.
    async fn must<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        token: &str,
        body: Option<&str>,
    ) -> Result<T, String> {
        let mut tries = 0;
        loop {
            match self.ask(method.clone(), url.clone(), token, body.map(str::to_owned)).await {
                Ok(text) => {
                    return serde_json::from_str(&text).map_err(|_| format!("{} answers something else", url.path()));
                }
                Err(refused) if refused.retryable && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(refused.retry_after.unwrap_or(PAUSE)).await;
                }
                Err(refused) => return Err(format!("{method} {} is refused: {}", url.path(), refused.code)),
            }
        }
    }

    /// Makes a thread, by its owner; its id and last sequence.
    ///
    /// # Errors
    /// In words.
    pub async fn create(&self, owner: &str, members: &[&str]) -> Result<(Name, u64), String> {
        let paths = self.target.paths;
        // What a body may hold; the rest is added one by one.
        let mut bytes = 0;
        let fit = members.iter().take_while(|member| {
            bytes += member.len() + 3;
            bytes < 120_000
        });
        let (first, rest) = members.split_at(fit.count());
        let body = serde_json::json!({"title": "load test", "members": first}).to_string();
        let made: Thread = self.must(Method::POST, self.target.at(paths.threads, &[]), owner, Some(&body)).await?;
        for member in rest {
            let url = self.target.at(paths.member, &[&made.thread_id, member]);
            let mut tries = 0;
            while let Err(refused) = self.ask(Method::PUT, url.clone(), owner, Some("{}".to_owned())).await {
                tries += 1;
                if !refused.retryable || tries > TRIES {
                    return Err(format!("{member} cannot be added: {}", refused.code));
                }
                tokio::time::sleep(refused.retry_after.unwrap_or(PAUSE)).await;
            }
        }
        let head = if rest.is_empty() { made.sequence } else { self.head(owner, &made.thread_id).await? };
        Ok((made.thread_id.into(), head))
    }

    /// The last sequence of a thread.
    ///
    /// # Errors
    /// In words.
    pub async fn head(&self, token: &str, thread: &str) -> Result<u64, String> {
        let url = self.target.at(self.target.paths.thread, &[thread]);
        self.must::<Thread>(Method::GET, url, token, None).await.map(|thread| thread.sequence)
    }

    /// The messages of a thread above a sequence, up to its end, page by page by members in turn.
    ///
    /// # Errors
    /// In words.
    pub async fn history(&self, tokens: &[&str], thread: &Name, head: u64, after: u64) -> Result<History, String> {
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(borrow)]
            messages: Vec<Data<'a>>,
            has_more: bool,
        }
        let (mut rows, mut from): (Vec<Row>, u64) = (Vec::new(), after);
        let mut tokens = tokens.iter().cycle();
        loop {
            let token = tokens.next().ok_or("nobody may read the history")?;
            let mut url = self.target.at(self.target.paths.messages, &[]);
            url.set_query(Some(&format!("thread_id={thread}&after={from}&limit={PAGE}")));
            let text: Box<serde_json::value::RawValue> = self.must(Method::GET, url, token, None).await?;
            let page: Page<'_> = serde_json::from_str(text.get()).map_err(|_| "history answers something else")?;
            let before = rows.len();
            rows.extend(page.messages.iter().filter_map(Data::row));
            if rows.len() - before != page.messages.len() {
                return Err("history answers something else".to_owned());
            }
            match rows.last() {
                Some(last) if page.has_more => from = last.sequence,
                _ => return Ok(History { thread: Name::clone(thread), head, after, rows }),
            }
        }
    }

    /// Posts a message; the stored one as it is shown, as JSON.
    ///
    /// # Errors
    /// The refusal.
    pub async fn post(&self, token: &str, body: String) -> Result<String, Refused> {
        self.ask(Method::POST, self.target.at(self.target.paths.messages, &[]), token, Some(body)).await
    }
}
