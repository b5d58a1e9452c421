/// A picture of 16-bit red, green and blue: `[height, width, 3]`, row-major.
public struct DeepImage: Sendable, Equatable {
    public let width: Int
    public let height: Int
    public internal(set) var samples: [UInt16]

    /// - Precondition: the sides are positive and `samples.count == width * height * 3`.
    public init(width: Int, height: Int, samples: [UInt16]) {
        precondition(width > 0 && height > 0, "a picture has at least one pixel")
        precondition(samples.count == width * height * 3, "a picture's samples must fill its shape")
        self.width = width
        self.height = height
        self.samples = samples
    }
}

extension DecodedImage {
    /// The picture with all of its 16 bits a sample; nil if the file has no more than 8.
    ///
    /// - Parameter file: the bytes that this picture was decoded from.
    /// - Throws: `Failure.badData` if they are others.
    package func deep(_ file: [UInt8], limits: ImageLimits = .standard) throws -> DeepImage? {
        guard isDeep else { return nil }
        let stored = try file.withUnsafeBytes { try PNGDecoder.deepSamples($0, path: path, limits: limits) }
        let upright = stored.samples.oriented(orientation, width: stored.width, height: stored.height, channels: 3)
        return DeepImage(width: upright.width, height: upright.height, samples: upright.samples)
    }
}
