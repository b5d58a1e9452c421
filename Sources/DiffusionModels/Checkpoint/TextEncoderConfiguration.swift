/// The shape of a CLIPTextModel, as its `config.json` describes it; checked when it is decoded.
public struct TextEncoderConfiguration: Codable, Sendable, Equatable {
    /// The activation between the two layers of a feed-forward part.
    public enum Activation: String, Codable, Sendable, CaseIterable {
        /// x sigmoid(1.702 x).
        case quickGELU = "quick_gelu"
        /// x Phi(x), with the error function.
        case gelu = "gelu"
    }

    /// The width of the states.
    public let hiddenSize: Int
    public let intermediateSize: Int
    public let layerCount: Int
    public let headCount: Int
    /// The context length, in tokens.
    public let maximumPositions: Int
    public let vocabularySize: Int
    public let normEpsilon: Float
    public let activation: Activation
    /// As the file has them; early files hold ids that their tokenizer does not use.
    public let beginningToken: Int?
    public let endToken: Int?
    public let paddingToken: Int?

    enum CodingKeys: String, CodingKey {
        case architectures
        case modelType = "model_type"
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case layerCount = "num_hidden_layers"
        case headCount = "num_attention_heads"
        case maximumPositions = "max_position_embeddings"
        case vocabularySize = "vocab_size"
        case normEpsilon = "layer_norm_eps"
        case activation = "hidden_act"
        case beginningToken = "bos_token_id"
        case endToken = "eos_token_id"
        case paddingToken = "pad_token_id"
    }

    private static let modelType = "clip_text_model"

    public init(
        hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int, activation: Activation,
        maximumPositions: Int = 77, vocabularySize: Int = 49408, paddingToken: Int
    ) {
        precondition(hiddenSize % headCount == 0, "the heads divide the width")
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.maximumPositions = maximumPositions
        self.vocabularySize = vocabularySize
        self.normEpsilon = 1e-5
        self.activation = activation
        self.beginningToken = vocabularySize - 2
        self.endToken = vocabularySize - 1
        self.paddingToken = paddingToken
    }

    /// - Throws: an error that `ModelFolder` reports with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        try Self.checkKind(fields)
        hiddenSize = try fields.integer(CodingKeys.hiddenSize, in: ConfigurationBounds.channels, default: 512)
        intermediateSize = try fields.integer(CodingKeys.intermediateSize, in: 1...65536, default: 2048)
        layerCount = try fields.integer(CodingKeys.layerCount, in: ConfigurationBounds.layers, default: 12)
        headCount = try fields.integer(CodingKeys.headCount, in: ConfigurationBounds.heads, default: 8)
        maximumPositions = try fields.integer(CodingKeys.maximumPositions, in: 2...4096, default: 77)
        vocabularySize = try fields.integer(CodingKeys.vocabularySize, in: 1...1_000_000, default: 49408)
        normEpsilon = try fields.positive(CodingKeys.normEpsilon, default: 1e-5)
        activation = try fields.choice(CodingKeys.activation, default: .quickGELU)
        let tokens = 0...1_000_000
        beginningToken = try fields.optionalInteger(CodingKeys.beginningToken, in: tokens)
        endToken = try fields.optionalInteger(CodingKeys.endToken, in: tokens)
        paddingToken = try fields.optionalInteger(CodingKeys.paddingToken, in: tokens)
        guard hiddenSize % headCount == 0 else {
            throw ConfigurationError(
                key: CodingKeys.headCount.stringValue, expected: "a divisor of hidden_size, \(hiddenSize)",
                found: "\(headCount)")
        }
        let parameters =
            layerCount * hiddenSize * (4 * hiddenSize + 2 * intermediateSize) + vocabularySize * hiddenSize
        guard parameters <= ConfigurationBounds.parameters else {
            throw ConfigurationError(
                key: CodingKeys.hiddenSize.stringValue,
                expected: "a network of at most \(ConfigurationBounds.parameters) parameters",
                found: "\(hiddenSize), which asks for \(parameters)")
        }
    }

    private static func checkKind(_ fields: ConfigurationFields) throws {
        let className = ModelFolder.Component.textEncoder.className
        if let names = fields[CodingKeys.architectures].elements, !names.contains(.string(className)) {
            throw ConfigurationError(
                key: CodingKeys.architectures.stringValue, expected: className,
                found: fields[CodingKeys.architectures].summary)
        }
        try fields.require(CodingKeys.modelType.stringValue, oneOf: .string(modelType), .string("clip"))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode([ModelFolder.Component.textEncoder.className], forKey: .architectures)
        try container.encode(Self.modelType, forKey: .modelType)
        try container.encode(hiddenSize, forKey: .hiddenSize)
        try container.encode(intermediateSize, forKey: .intermediateSize)
        try container.encode(layerCount, forKey: .layerCount)
        try container.encode(headCount, forKey: .headCount)
        try container.encode(maximumPositions, forKey: .maximumPositions)
        try container.encode(vocabularySize, forKey: .vocabularySize)
        try container.encode(normEpsilon, forKey: .normEpsilon)
        try container.encode(activation, forKey: .activation)
        try container.encodeIfPresent(beginningToken, forKey: .beginningToken)
        try container.encodeIfPresent(endToken, forKey: .endToken)
        try container.encodeIfPresent(paddingToken, forKey: .paddingToken)
    }
}
