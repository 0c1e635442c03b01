use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::net::{TcpListener, TcpSocket};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::*;

fn pool(address: std::net::SocketAddr) -> Pool {
    Pool::new(&format!("http://{address}").parse().unwrap())
}

fn request() -> Request<Body> {
    Request::post("/a.B/C").body(Body::new(Full::new(Bytes::from_static(b"message")))).unwrap()
}

/// Takes `connections` connections, each of which answers every stream with `200`, but resets the first of all as told.
#[expect(clippy::disallowed_methods, reason = "a test's own task")]
fn serve(
    listener: TcpListener,
    connections: usize,
    mut reset: Option<h2::Reason>,
) -> tokio::task::JoinHandle<Vec<Bytes>> {
    tokio::spawn(async move {
        let mut bodies = Vec::new();
        for _ in 0..connections {
            let (socket, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(stream) = connection.accept().await {
                let (request, mut respond) = stream.unwrap();
                if let Some(reason) = reset.take() {
                    respond.send_reset(reason);
                    connection.graceful_shutdown();
                    continue;
                }
                let mut answer = respond.send_response(http::Response::new(()), false).unwrap();
                answer.send_data(Bytes::from_static(b"answer"), true).unwrap();
                bodies.push(request.into_body().data().await.unwrap().unwrap());
                connection.graceful_shutdown();
            }
        }
        bodies
    })
}

/// A port that is ours and at which nobody listens yet.
fn silent() -> (TcpSocket, std::net::SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Waits until some connection of the pool is so.
async fn until(pool: &Pool, is_so: impl Fn(&[Arc<Connection>]) -> bool) {
    let looking = async {
        while !is_so(&pool.0.endpoints.known().await.connections) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(100), looking).await.unwrap();
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable() {
    let (_socket, address) = silent();
    let pool = pool(address);
    let status = pool.clone().oneshot(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["upstream"].as_str()), ("SERVICE_UNAVAILABLE", pool.authority()));
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn a_service_that_comes_soon_after_a_refusal_is_waited_for() {
    let (socket, address) = silent();
    let pool = pool(address);
    let late = async {
        until(&pool, |connections| connections.iter().any(|connection| connection.is_resting())).await;
        serve(socket.listen(1).unwrap(), 1, None).await.unwrap()
    };
    let (answer, _) = tokio::join!(pool.clone().oneshot(request()), late);
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn a_closed_connection_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(listener.local_addr().unwrap());
    let server = serve(listener, 3, None);
    for _ in 0..3 {
        assert_eq!(pool.clone().oneshot(request()).await.unwrap().status(), 200);
        until(&pool, |connections| connections.iter().all(|connection| connection.live().is_none())).await;
    }
    assert_eq!(server.await.unwrap(), vec![Bytes::from_static(b"message"); 3]);
}

#[tokio::test]
async fn a_refused_stream_is_sent_once_more_with_its_whole_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(listener.local_addr().unwrap());
    let server = serve(listener, 2, Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(pool.oneshot(request()).await.unwrap().status(), 200);
    assert_eq!(server.await.unwrap(), [Bytes::from_static(b"message")]);
}

#[tokio::test]
async fn a_stream_that_may_have_been_processed_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(listener.local_addr().unwrap());
    let server = serve(listener, 1, Some(h2::Reason::INTERNAL_ERROR));
    let status = pool.oneshot(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(server.await.unwrap().is_empty());
}

#[tokio::test]
async fn an_address_without_a_host_is_unavailable() {
    let status = Pool::new(&"/nowhere".parse().unwrap()).oneshot(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

fn unconnected(port: u16) -> Arc<Connection> {
    let address = connection::Address::new(([127, 0, 0, 1], port).into());
    Arc::new(Connection::new(Arc::new(address)))
}

#[test]
fn an_address_that_refused_is_picked_last() {
    let (resting, awake) = (unconnected(1), unconnected(2));
    resting.address.rest(true);
    let connections = [Arc::clone(&resting), Arc::clone(&awake)];
    assert!((0..50).all(|_| Arc::ptr_eq(&connection::less_busy(&connections).unwrap(), &awake)));
    assert!(connection::less_busy(&[resting]).is_some(), "with nothing else it is tried again");
}

#[test]
fn the_less_busy_of_two_connections_is_picked() {
    let (busy, idle) = (unconnected(1), unconnected(1));
    let in_flight = [busy.count(), busy.count()];
    let connections = [busy, Arc::clone(&idle)];
    let picks = (0..200).filter(|_| Arc::ptr_eq(&connection::less_busy(&connections).unwrap(), &idle)).count();
    assert!(picks > 100, "the idle one wins unless the busy one is picked twice: {picks} of 200");
    drop(in_flight);
    assert!(connection::less_busy(&[]).is_none());
}

#[tokio::test]
async fn a_stream_counts_until_its_answer_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(listener.local_addr().unwrap());
    let _server = serve(listener, 1, None);
    let answer = pool.clone().oneshot(request()).await.unwrap();
    let count = async || {
        let known = pool.0.endpoints.known().await;
        known.connections.iter().map(|connection| connection.in_flight()).sum::<usize>()
    };
    assert_eq!(count().await, 1);
    answer.into_body().collect().await.unwrap();
    assert_eq!(count().await, 0);
}
