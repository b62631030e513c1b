// What README.md of the folder above lists, with the client of openapi-generator (`java`, on the platform's own HttpClient).

import culturepass.ApiClient;
import culturepass.ApiException;
import culturepass.api.EventsApi;
import culturepass.api.EventsApi.*;
import culturepass.api.MeApi;
import culturepass.api.OrganizationsApi;
import culturepass.api.SignInApi;
import culturepass.model.*;
import java.time.OffsetDateTime;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

public final class Program {
  private interface Ask {
    void ask() throws ApiException;
  }

  private static void check(boolean holds, String what) {
    if (!holds) throw new IllegalStateException(what);
  }

  private static Problem problem(int status, Ask ask) throws Exception {
    try {
      ask.ask();
    } catch (ApiException answer) {
      check(answer.getCode() == status, answer.getCode() + " instead of " + status + ": " + answer.getResponseBody());
      return ApiClient.createDefaultObjectMapper().readValue(answer.getResponseBody(), Problem.class);
    }
    throw new IllegalStateException("not " + status);
  }

  public static void main(String[] arguments) throws Exception {
    OffsetDateTime now = OffsetDateTime.now();
    ApiClient client = new ApiClient();
    client.updateBaseUri(System.getenv("API_URL"));

    // Sign in
    Credentials credentials = new Credentials().email("olga_organiser@example.org").password("seven small elephants");
    Signed signed = new SignInApi(client).signIn(SignInApi.APISignInRequest.newBuilder().credentials(credentials).build());
    client.setRequestInterceptor(request -> request.setHeader("Authorization", "Bearer " + signed.getAccessToken()));
    EventsApi events = new EventsApi(client);
    RoleAssignmentList roles = new MeApi(client).listMyRoles(MeApi.APIListMyRolesRequest.newBuilder().build());
    UUID organizationId =
        roles.getData().stream().filter(role -> role.getScopeType() == RoleAssignmentScopeType.ORGANIZATION).findFirst().orElseThrow().getScopeId();
    var organization =
        new OrganizationsApi(client).getOrganization(OrganizationsApi.APIGetOrganizationRequest.newBuilder().id(organizationId).build());

    // List with filters
    List<EventCategory> wanted = List.of(EventCategory.CONCERT, EventCategory.FESTIVAL);
    var soon =
        events.listEvents(
            APIListEventsRequest.newBuilder().categoryIn(wanted).startsAtGte(now).sort(EventSort.starts_at_asc).limit(5).build()).getData();
    check(soon.size() > 1, "there are concerts and festivals");
    for (int index = 0; index < soon.size(); index++) {
      check(wanted.contains(soon.get(index).getCategory()), "of these categories");
      check(!soon.get(index).getStartsAt().isBefore(index == 0 ? now : soon.get(index - 1).getStartsAt()), "in order");
    }

    // Page to the end
    EventList counted =
        events.listEvents(APIListEventsRequest.newBuilder().category(EventCategory.CONCERT).count(Count.EXACT).limit(1).build());
    Set<UUID> seen = new HashSet<>();
    String cursor = null;
    do {
      EventList page =
          events.listEvents(APIListEventsRequest.newBuilder().category(EventCategory.CONCERT).limit(25).cursor(cursor).build());
      page.getData().forEach(event -> seen.add(event.getId()));
      cursor = page.getNextCursor();
    } while (cursor != null);
    check(seen.size() > 25 && counted.getCount() == seen.size(), seen.size() + " of " + counted.getCount());

    // Create
    CreateEvent draft =
        new CreateEvent()
            .title("An evening for programs")
            .category(EventCategory.CONCERT)
            .startsAt(now.plusDays(30))
            .endsAt(now.plusDays(30).plusHours(1))
            .timezone("Australia/Melbourne")
            .onlineUrl(java.net.URI.create("https://example.org/evening"))
            .cityId(organization.getCityId())
            .hostType(EventHostType.ORGANIZATION)
            .hostId(organization.getId());
    var created = events.createEvent(APICreateEventRequest.newBuilder().createEvent(draft).build());
    check(created.getVersion() == 1, "the first version");
    UUID id = created.getId();

    // 422, with every value that is wrong
    draft.title("").capacity(-1);
    Problem refused = problem(422, () -> events.createEvent(APICreateEventRequest.newBuilder().createEvent(draft).build()));
    check(
        refused.getErrors().stream().map(ProblemItem::getPointer).collect(Collectors.toSet()).equals(Set.of("/title", "/capacity")),
        refused.toString());

    // Change
    String tag = "\"" + created.getVersion() + "\"";
    PatchEvent patch = new PatchEvent().description("With a reading.");
    Event changed = events.updateEvent(APIUpdateEventRequest.newBuilder().id(id).ifMatch(tag).patchEvent(patch).build());
    check(changed.getVersion() == 2 && "With a reading.".equals(changed.getDescription()), changed.toString());

    // 412: based on what is no longer there
    PatchEvent lost = new PatchEvent().title("Lost");
    problem(412, () -> events.updateEvent(APIUpdateEventRequest.newBuilder().id(id).ifMatch(tag).patchEvent(lost).build()));

    // Publish
    Event published = events.publishEvent(APIPublishEventRequest.newBuilder().id(id).build());
    check(published.getState() == EventState.PUBLISHED, published.toString());

    // A host of each kind, as what it is
    Map<EventHostType, Class<?>> kinds =
        Map.of(
            EventHostType.ORGANIZATION, Organization.class,
            EventHostType.BUSINESS, Business.class,
            EventHostType.COMMUNITY, Community.class,
            EventHostType.INSTITUTION, Institution.class);
    for (var kind : kinds.entrySet()) {
      var hosted =
          events.listEvents(
              APIListEventsRequest.newBuilder().hostType(kind.getKey()).expand(List.of(EventExpand.HOST)).limit(3).build()).getData();
      check(!hosted.isEmpty(), "events of a " + kind.getKey());
      for (var event : hosted) {
        Class<?> type = event.getHost().getActualInstance().getClass();
        check(type == kind.getValue(), kind.getKey() + " is read as " + type);
      }
    }

    // Archive
    events.archiveEvent(APIArchiveEventRequest.newBuilder().id(id).build());
    problem(404, () -> events.getEvent(APIGetEventRequest.newBuilder().id(id).build()));
  }
}
