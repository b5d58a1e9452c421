/// What a file says its numbers mean as colours.
public enum ColourSpace: Sendable, Equatable {
    /// Nothing; such numbers are taken for sRGB.
    case unsaid
    /// sRGB, by a PNG's sRGB chunk, with the rendering intent that it names.
    case sRGB(intent: Int32)
    case profile(ICCProfile)
    /// By a PNG's gAMA and cHRM chunks: the exponent of the file's values, and x and y of white, red, green and blue,
    /// all times 100,000.
    case numbers(gamma: Int32?, chromaticities: [Int32]?)
}
