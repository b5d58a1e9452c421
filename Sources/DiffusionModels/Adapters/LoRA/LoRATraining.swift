/// What kohya's trainer writes of a training into a LoRA's metadata; nothing computes with it.
public struct LoRATraining: Sendable {
    /// A tag of the training's captions, and how many captions have it.
    public struct Tag: Sendable, Equatable {
        public let text: String
        public let count: Int
    }

    public let outputName: String?
    /// As the trainer names it: `sd_v1`, or a file.
    public let baseModel: String?
    /// What the author says that a prompt should have.
    public let triggerPhrase: String?
    /// The most frequent first, those of equal counts by their letters.
    public let tags: [Tag]

    /// Tags are some hundred kilobytes.
    private static let mostBytes = 16 << 20

    /// - Parameter metadata: a stranger's; what can't be understood is left out.
    public init(_ metadata: [String: String]) {
        func text(_ keys: String...) -> String? {
            keys.lazy.compactMap { metadata[$0] }.first { !$0.isEmpty && $0 != "None" }
        }
        outputName = text("ss_output_name", "modelspec.title")
        baseModel = text("ss_base_model_version", "modelspec.architecture", "ss_sd_model_name")
        triggerPhrase = text("modelspec.trigger_phrase")
        tags = metadata["ss_tag_frequency"].map(Self.tags) ?? []
    }

    /// `{"folder": {"tag": count}}`, the folders' counts added.
    private static func tags(_ text: String) -> [Tag] {
        guard text.utf8.count <= mostBytes,
            case .object(let folders)? = try? OrderedJSON(parsing: Array(text.utf8), file: "")
        else { return [] }
        var counts: [String: Int] = [:]
        for folder in folders {
            guard case .object(let members) = folder.value else { continue }
            for member in members {
                guard let count = member.value.integer, count > 0 else { continue }
                let (sum, overflows) = counts[member.key, default: 0].addingReportingOverflow(count)
                counts[member.key] = overflows ? .max : sum
            }
        }
        return counts.map { Tag(text: $0.key, count: $0.value) }.sorted {
            ($1.count, $0.text) < ($0.count, $1.text)
        }
    }
}
