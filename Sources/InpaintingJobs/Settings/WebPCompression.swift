/// How a WebP file keeps a result's pixels. In a record a whole number, or `"lossless"`.
public enum WebPCompression: Codable, Equatable, Sendable {
    /// To the bit.
    case lossless
    /// Nearly: 1 to 100.
    case quality(Int)

    private static let nameOfLossless = "lossless"

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let quality = try? container.decode(Int.self) {
            self = .quality(quality)
        } else if try container.decode(String.self) == Self.nameOfLossless {
            self = .lossless
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "neither a quality nor \(Self.nameOfLossless)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .lossless: try container.encode(Self.nameOfLossless)
        case .quality(let quality): try container.encode(quality)
        }
    }

    /// Nil for a picture that is kept to the bit.
    var quality: Int? {
        switch self {
        case .lossless: nil
        case .quality(let quality): quality
        }
    }
}
