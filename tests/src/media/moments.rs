//! MD8: a picture is finished at the moment when what it belongs to is suspended.

use crate::{
    endings::scene::{Group, Hall, Scene},
    support::{locks::until_waiting, pictures::file},
    trending::stage::run,
};
use reqwest::Method;

/// Stops whoever has made a picture's row before the transaction ends.
const GATE: &str = "create function public.wait_at_gate() returns trigger language plpgsql as $$
    begin
      perform pg_catalog.pg_advisory_xact_lock_shared(4711);
      return null;
    end $$;
    create trigger \"000_gate\" before update on app.media_uploads for each statement execute function public.wait_at_gate()";

/// The negative control: nothing follows from a new picture.
const UNHEARD: &str = "create function public.unheard() returns trigger language plpgsql as $$
    begin
      new.event := 'tests.unheard';
      return new;
    end $$;
    create trigger unheard before insert on jobs.events for each row when (new.event = 'media.shown') execute function public.unheard()";

/// Whether the picture's file is served in the end.
async fn is_served(hall: &Hall) -> bool {
    let server = &hall.server;
    let mut scene = Scene::new(hall, Group::Pictures).await;
    let (mut watch, mut gate) = (server.superuser().await, server.superuser().await);
    run(&mut gate, "select pg_advisory_lock(4711)".to_owned()).await;
    let path = format!("/media/uploads/{}/complete", scene.id("sent"));
    let host = scene.client("host").clone();
    let completed = tokio::spawn(async move { host.send(Method::POST, &path, None, &[]).await });
    until_waiting(&mut watch, "app.media_uploads", 1).await;
    let path = format!("/events/{}/suspend", scene.id("event"));
    scene.client("platform").act(&path).await.expect(200);
    server.settled().await;
    run(&mut gate, "select pg_advisory_unlock(4711)".to_owned()).await;
    completed.await.expect("no panic").expect(200);
    server.settled().await;
    let url = format!(
        "select small_url from app.media where entity_id = '{}'",
        scene.id("event")
    );
    let url: String = scene.one(url).await;
    file(server, &url).await.0 == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn md8_a_picture_of_what_is_just_being_suspended_is_not_served() {
    let hall = Hall::new().await;
    let mut conn = hall.server.superuser().await;
    run(&mut conn, GATE.to_owned()).await;
    assert!(!is_served(&hall).await);
    run(&mut conn, UNHEARD.to_owned()).await;
    assert!(is_served(&hall).await);
}
