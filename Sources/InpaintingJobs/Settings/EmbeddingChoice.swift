/// A textual inversion, as a user says it; the names are those of the options.
public struct EmbeddingChoice: Codable, Equatable, Sendable {
    /// A safetensors file.
    public var file: String
    /// What stands for it in the prompts; nil for what the file says.
    public var token: String?

    enum CodingKeys: String, CodingKey {
        case file = "embedding"
        case token = "embedding_token"
    }

    public init(file: String, token: String? = nil) {
        self.file = file
        self.token = token
    }
}
