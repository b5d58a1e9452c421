/// How large an input picture may be; what is larger is refused before anything is allocated for it.
public struct ImageLimits: Sendable, Equatable {
    /// What a file of such a size is, for messages.
    public static let expectation = "a PNG, JPEG or WebP picture"

    /// Width times height.
    public var pixels: Int
    /// The file's own size.
    public var fileBytes: Int

    public init(pixels: Int, fileBytes: Int) {
        self.pixels = pixels
        self.fileBytes = fileBytes
    }

    /// 100 megapixels, a little above the level (89,478,485) at which Pillow warns of a decompression bomb, and
    /// 512 MiB, which holds such a picture even when it is badly compressed.
    public static let standard = ImageLimits(pixels: 100_000_000, fileBytes: 512 << 20)
}
