/// The shape of a T2I-Adapter, diffusers' `T2IAdapter`, as its `config.json` describes it.
public struct T2IAdapterConfiguration: Decodable, Sendable, Equatable {
    /// How the layers are put together.
    public enum Kind: String, Sendable, CaseIterable {
        case full = "full_adapter"
        /// With a quarter of the channels inside.
        case light = "light_adapter"
    }

    public let kind: Kind
    /// 3, or 1 for maps in grey.
    public let mapChannels: Int
    /// Of each feature, from the top: one for each level of the UNet.
    public let channels: [Int]
    /// Residual blocks of a level.
    public let blocksPerLevel: Int
    /// By how much a map is larger than the first feature, along a side.
    public let downsamplingFactor: Int

    static let className = "T2IAdapter"
    /// What a map may have; the last first, since a square of one channel never has as many numbers as one of three.
    static let mapChannelCounts = [1, 3]
    /// Of adapters for Stable Diffusion XL, which are built otherwise.
    private static let otherKind = "full_adapter_xl"

    enum CodingKeys: String, CodingKey {
        case kind = "adapter_type"
        case mapChannels = "in_channels"
        case channels
        case blocksPerLevel = "num_res_blocks"
        case downsamplingFactor = "downscale_factor"
    }

    /// The adapter that no file describes.
    init(kind: Kind, mapChannels: Int, channels: [Int], blocksPerLevel: Int, downsamplingFactor: Int) {
        self.kind = kind
        self.mapChannels = mapChannels
        self.channels = channels
        self.blocksPerLevel = blocksPerLevel
        self.downsamplingFactor = downsamplingFactor
    }

    /// - Throws: an error that is reported with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        try fields.require("_class_name", oneOf: .string(Self.className))
        if fields[CodingKeys.kind].text == Self.otherKind {
            throw ConfigurationError(
                key: CodingKeys.kind.stringValue, expected: Kind.allCases.map(\.rawValue).joined(separator: " or "),
                found: "\(Self.otherKind), which is for Stable Diffusion XL")
        }
        kind = try fields.choice(CodingKeys.kind, default: Kind.full)
        mapChannels = try fields.integer(
            CodingKeys.mapChannels, in: 1...ConfigurationBounds.channels.upperBound, default: 3)
        guard Self.mapChannelCounts.contains(mapChannels) else {
            throw ConfigurationError(
                key: CodingKeys.mapChannels.stringValue, expected: "1 or 3, the channels of a map",
                found: "\(mapChannels)")
        }
        let widths = try fields.integerList(
            CodingKeys.channels, in: ConfigurationBounds.channels, default: [320, 640, 1280, 1280])
        // A light adapter's last level repeats the one before.
        channels = kind == .light ? widths + widths.suffix(1) : widths
        blocksPerLevel = try fields.integer(CodingKeys.blocksPerLevel, in: ConfigurationBounds.layers, default: 2)
        downsamplingFactor = try fields.integer(CodingKeys.downsamplingFactor, in: 1...64, default: 8)
        try ConfigurationBounds.check(
            channels, layers: channels.map { _ in blocksPerLevel }, key: CodingKeys.channels)
        guard kind == .full || channels.allSatisfy({ $0 % Self.lightDivisor == 0 }) else {
            throw ConfigurationError(
                key: CodingKeys.channels.stringValue, expected: "multiples of \(Self.lightDivisor)", found: "\(widths)")
        }
    }

    /// By how much a light adapter's inner layers are narrower.
    static let lightDivisor = 4

    /// Channels of a map's square, which is a position of the first feature.
    var squareChannels: Int { mapChannels * downsamplingFactor * downsamplingFactor }
}

extension UNetConfiguration {
    /// Which rung each level's feature is added on: that of the level's last block.
    public var featureRungs: [Int] {
        var rungs: [Int] = []
        for layers in layersPerBlock { rungs.append((rungs.last.map { $0 + 1 } ?? 0) + layers) }
        return rungs
    }

    /// The size of each level for a latent's.
    func levelSizes(height: Int, width: Int) -> [(height: Int, width: Int)] {
        var sizes = [(height: height, width: width)]
        while sizes.count < blockChannels.count {
            let above = sizes[sizes.count - 1]
            sizes.append(((above.height + 1) / 2, (above.width + 1) / 2))
        }
        return sizes
    }
}
