/// Width and height in pixels, written `512x384`.
public struct PictureSize: Codable, Equatable, Sendable, CustomStringConvertible {
    public var width: Int
    public var height: Int

    public var description: String { "\(width)x\(height)" }

    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// Reads `512x384`; nil for anything else, and for sides that are not positive.
    public init?(_ text: String) {
        let sides = text.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let width = sides[0], let height = sides[1], width > 0, height > 0 else { return nil }
        self.init(width: width, height: height)
    }
}
