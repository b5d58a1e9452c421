import DiffusionModels
import Failures

extension JobDraft {
    /// Reads a job's line: one JSON object, whose keys are options of `pilot inpaint` in snake_case.
    ///
    /// What the line does not say is as in `defaults`; a line with `from` begins with that record alone.
    /// - Returns: the draft, and the job that it repeats, if it does.
    /// - Throws: `Failure` naming the key.
    package static func read(_ line: [UInt8], defaults: JobDraft) throws -> (draft: JobDraft, recorded: JobRecord?) {
        let json = try OrderedJSON(parsing: line, file: "the line", advice: "")
        guard case .object(let members) = json else {
            throw Failure.badData("expected a JSON object such as {\"image\": …}, found \(json.summary)")
        }
        let known = Set(BatchKey.all.map(\.name) + [BatchKey.from])
        for member in members where !known.contains(member.key) { throw unknown(member.key, known) }

        let result = try json[BatchKey.from].map { try BatchKey.text(BatchKey.from, $0) }
        let recorded = try result.map { try JobRecord(repeating: $0) }
        var draft = defaults
        if let recorded {
            draft = JobDraft(model: recorded.settings.model, repeating: recorded.settings)
            draft.extras = defaults.extras
        }
        for key in BatchKey.all {
            if let value = json[key.name] { try key.apply(value, &draft) }
        }
        if let recorded, let result { try recorded.checkNames(in: draft, from: result) }
        return (draft, recorded)
    }

    private static func unknown(_ key: String, _ known: Set<String>) -> Failure {
        let name = key.unicodeScalars.map { $0 == "-" ? "_" : String($0) }.joined()
        let bare = name.drop { $0 == "_" }
        if known.contains(String(bare)) {
            return .badData("unknown key \(quoted(key)): keys are options in snake_case, so \(bare)")
        }
        if bare == "threads" || bare == "jobs_in_flight" {
            return .badData("unknown key \(quoted(key)): that is the batch's and not a job's; give it as an option")
        }
        return .badData(
            "unknown key \(quoted(key)): expected the name of an option of pilot inpaint, in snake_case; one of "
                + known.sorted().joined(separator: ", "))
    }
}
