// What README.md of the folder above lists, with the client of openapi-generator (`kotlin`, on OkHttp, read and written by
// kotlinx.serialization).

import culturepass.apis.EventsApi
import culturepass.apis.MeApi
import culturepass.apis.OrganizationsApi
import culturepass.apis.SignInApi
import culturepass.infrastructure.ApiClient
import culturepass.infrastructure.ClientError
import culturepass.infrastructure.ClientException
import culturepass.infrastructure.Serializer
import culturepass.models.Count
import culturepass.models.CreateEvent
import culturepass.models.Credentials
import culturepass.models.EventCategory
import culturepass.models.EventExpand
import culturepass.models.EventHost
import culturepass.models.EventHostType
import culturepass.models.EventSort
import culturepass.models.EventState
import culturepass.models.PatchEvent
import culturepass.models.Problem
import culturepass.models.RoleAssignmentScopeType
import java.net.URI
import java.time.OffsetDateTime
import java.util.UUID

private fun problem(status: Int, ask: () -> Unit): Problem {
    try {
        ask()
    } catch (answer: ClientException) {
        val body = (answer.response as ClientError<*>).body as String
        check(answer.statusCode == status) { "${answer.statusCode} instead of $status: $body" }
        return Serializer.kotlinxSerializationJson.decodeFromString(Problem.serializer(), body)
    }
    error("not $status")
}

fun main() {
    val now = OffsetDateTime.now()
    val url = System.getenv("API_URL")
    // What is not set is not sent: a patch would otherwise empty every property that it does not name.
    Serializer.kotlinxSerializationJsonConfiguration = { encodeDefaults = false }

    // Sign in
    val signed = SignInApi(url).signIn(Credentials(email = "olga_organiser@example.org", password = "seven small elephants"))
    ApiClient.accessToken = signed.accessToken
    val events = EventsApi(url)
    val roles = MeApi(url).listMyRoles()
    val organizationId = roles.data.first { it.scopeType == RoleAssignmentScopeType.organization }.scopeId
    val organization = OrganizationsApi(url).getOrganization(checkNotNull(organizationId))

    // List with filters
    val wanted = listOf(EventCategory.concert, EventCategory.festival)
    val soon = events.listEvents(categoryIn = wanted, startsAtGte = now, sort = EventSort.starts_at_asc, limit = 5).data
    check(soon.size > 1) { "there are concerts and festivals" }
    check(soon.all { it.category in wanted && !it.startsAt.isBefore(now) }) { "of these categories" }
    check(soon.map { it.startsAt } == soon.map { it.startsAt }.sorted()) { "in order" }

    // Page to the end
    val counted = events.listEvents(category = EventCategory.concert, count = Count.exact, limit = 1)
    val seen = mutableSetOf<UUID>()
    var cursor: String? = null
    do {
        val page = events.listEvents(category = EventCategory.concert, limit = 25, cursor = cursor)
        page.data.forEach { seen.add(it.id) }
        cursor = page.nextCursor
    } while (cursor != null)
    check(seen.size > 25 && counted.count == seen.size.toLong()) { "${seen.size} of ${counted.count}" }

    // Create
    val draft =
        CreateEvent(
            title = "An evening for programs",
            category = EventCategory.concert,
            startsAt = now.plusDays(30),
            endsAt = now.plusDays(30).plusHours(1),
            timezone = "Australia/Melbourne",
            onlineUrl = URI("https://example.org/evening"),
            cityId = organization.cityId,
            hostType = EventHostType.organization,
            hostId = organization.id,
        )
    val created = events.createEvent(draft)
    check(created.version == 1L) { "the first version" }
    val id = created.id

    // 422, with every value that is wrong
    val refused = problem(422) { events.createEvent(draft.copy(title = "", capacity = -1)) }
    check(refused.errors.orEmpty().map { it.pointer }.toSet() == setOf("/title", "/capacity")) { "$refused" }

    // Change
    val tag = "\"${created.version}\""
    val changed = events.updateEvent(id, tag, PatchEvent(description = "With a reading."))
    check(changed.version == 2L && changed.description == "With a reading.") { "$changed" }

    // 412: based on what is no longer there
    problem(412) { events.updateEvent(id, tag, PatchEvent(title = "Lost")) }

    // Publish
    val published = events.publishEvent(id)
    check(published.state == EventState.published) { "$published" }

    // A host of each kind, as what it is
    for (kind in listOf(EventHostType.organization, EventHostType.business, EventHostType.community, EventHostType.institution)) {
        val hosted = events.listEvents(hostType = kind, expand = listOf(EventExpand.host), limit = 3).data
        check(hosted.isNotEmpty()) { "events of a $kind" }
        for (event in hosted) {
            val isRight =
                when (event.host) {
                    is EventHost.OrganizationWrapper -> kind == EventHostType.organization
                    is EventHost.BusinessWrapper -> kind == EventHostType.business
                    is EventHost.CommunityWrapper -> kind == EventHostType.community
                    is EventHost.InstitutionWrapper -> kind == EventHostType.institution
                    null -> false
                }
            check(isRight) { "$kind is read as ${event.host}" }
        }
    }

    // Archive
    events.archiveEvent(id)
    problem(404) { events.getEvent(id) }
}
