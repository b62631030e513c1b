// What README.md of the folder above lists, with the client of openapi-generator (`swift6`, on URLSession).

import CulturePass
import Foundation

struct Failure: Error, CustomStringConvertible {
    let description: String
}

func check(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    if !holds { throw Failure(description: what()) }
}

func problem<T>(_ status: Int, _ ask: () async throws(ErrorResponse) -> T) async throws -> Problem {
    do {
        _ = try await ask()
    } catch let ErrorResponse.error(found, body, _, _) {
        let text = String(decoding: body ?? Data(), as: UTF8.self)
        try check(found == status, "\(found) instead of \(status): \(text)")
        return try CodableHelper().decode(Problem.self, from: body ?? Data()).get()
    }
    throw Failure(description: "not \(status)")
}

let now = Date()
let configuration = CulturePassAPIConfiguration.shared
configuration.basePath = ProcessInfo.processInfo.environment["API_URL"] ?? "http://127.0.0.1:8080"

// Sign in
let signed = try await SignInAPI.signIn(credentials: Credentials(email: "olga_organiser@example.org", password: "seven small elephants"))
configuration.customHeaders["Authorization"] = "Bearer \(signed.accessToken)"
let roles = try await MeAPI.listMyRoles()
guard let organizationId = roles.data.first(where: { $0.scopeType == .organization })?.scopeId else { throw Failure(description: "no organisation") }
let organization = try await OrganizationsAPI.getOrganization(id: organizationId)

// List with filters
let wanted: [EventCategory] = [.concert, .festival]
let soon = try await EventsAPI.listEvents(categoryIn: wanted, startsAtGte: now, sort: .starts_at_asc, limit: 5).data
try check(soon.count > 1, "there are concerts and festivals")
try check(soon.allSatisfy { wanted.contains($0.category) && $0.startsAt >= now }, "of these categories")
try check(soon.map(\.startsAt) == soon.map(\.startsAt).sorted(), "in order")

// Page to the end
let counted = try await EventsAPI.listEvents(category: .concert, limit: 1, count: .exact)
var seen = Set<UUID>()
var cursor: String?
repeat {
    let page = try await EventsAPI.listEvents(category: .concert, limit: 25, cursor: cursor)
    for event in page.data { seen.insert(event.id) }
    cursor = page.nextCursor
} while cursor != nil
try check(seen.count > 25 && counted.count == Int64(seen.count), "\(seen.count) of \(String(describing: counted.count))")

// Create
let startsAt = now.addingTimeInterval(30 * 24 * 3600)
var draft = CreateEvent(
    title: "An evening for programs", category: .concert, startsAt: startsAt, endsAt: startsAt.addingTimeInterval(3600),
    timezone: "Australia/Melbourne", onlineUrl: "https://example.org/evening", cityId: organization.cityId, hostType: .organization,
    hostId: organization.id)
let created = try await EventsAPI.createEvent(createEvent: draft)
try check(created.version == 1, "the first version")
let id = created.id

// 422, with every value that is wrong
draft.title = ""
draft.capacity = -1
let wrong = draft
let refused = try await problem(422) { () throws(ErrorResponse) in try await EventsAPI.createEvent(createEvent: wrong) }
try check(Set((refused.errors ?? []).compactMap(\.pointer)) == ["/title", "/capacity"], "\(refused)")

// Change
let tag = "\"\(created.version)\""
let changed = try await EventsAPI.updateEvent(id: id, ifMatch: tag, patchEvent: PatchEvent(description: "With a reading."))
try check(changed.version == 2 && changed.description == "With a reading.", "\(changed)")

// 412: based on what is no longer there
_ = try await problem(412) { () throws(ErrorResponse) in
    try await EventsAPI.updateEvent(id: id, ifMatch: tag, patchEvent: PatchEvent(title: "Lost"))
}

// Publish
let published = try await EventsAPI.publishEvent(id: id)
try check(published.state == .published, "\(published)")

// A host of each kind, as what it is
for kind in [EventHostType.organization, .business, .community, .institution] {
    let hosted = try await EventsAPI.listEvents(hostType: kind, limit: 3, expand: [.host]).data
    try check(!hosted.isEmpty, "events of a \(kind)")
    for event in hosted {
        let isRight =
            switch event.host {
            case .typeOrganization: kind == .organization
            case .typeBusiness: kind == .business
            case .typeCommunity: kind == .community
            case .typeInstitution: kind == .institution
            case nil: false
            }
        try check(isRight, "\(kind) is read as \(String(describing: event.host))")
    }
}

// Archive
try await EventsAPI.archiveEvent(id: id)
_ = try await problem(404) { () throws(ErrorResponse) in try await EventsAPI.getEvent(id: id) }
