/// What a picture was made with, in the text that Stable Diffusion tools read from a PNG's `parameters` chunk: the
/// convention of AUTOMATIC1111's web UI.
///
///     a red bench
///     Negative prompt: people
///     Steps: 50, Sampler: DDIM, CFG scale: 7.5, Seed: 1, Size: 512x512
public struct GenerationParameters: Sendable, Equatable {
    /// The keyword of the text chunk.
    public static let keyword = "parameters"

    /// One entry of the last line.
    public struct Setting: Sendable, Equatable {
        public let name: String
        public let value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public let prompt: String
    /// Empty for none; its line is then left out.
    public let negativePrompt: String
    /// In the order in which they are written.
    public let settings: [Setting]

    public init(prompt: String, negativePrompt: String = "", settings: [Setting]) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.settings = settings
    }

    public var text: String {
        var lines = [prompt]
        if !negativePrompt.isEmpty { lines.append("Negative prompt: \(negativePrompt)") }
        let entries = settings.map { "\($0.name): \(Self.quoted($0.value))" }
        if !entries.isEmpty { lines.append(entries.joined(separator: ", ")) }
        return lines.joined(separator: "\n")
    }

    public var textChunk: TextChunk { TextChunk(keyword: Self.keyword, text: text) }

    // A value that would end its entry early, or that looks quoted, is written as a JSON string.
    private static func quoted(_ value: String) -> String {
        guard value.contains(where: { ",:\"".contains($0) || $0.isNewline }) else { return value }
        var quoted = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\0"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
