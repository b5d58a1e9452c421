/// What part of the photograph the networks see.
public enum PictureArea: String, Codable, CaseIterable, Sendable {
    /// `mask` for a photograph far beyond the model's size, `whole` for any other, and wherever a size is asked for;
    /// decided before it is recorded.
    case auto
    case whole
    /// The surroundings of the hole alone.
    case mask
}

/// How much of the photograph is seen on every side of a hole: in pixels, written `64`, or in per cent of the hole's
/// longer side, written `50%`.
public struct AreaPadding: RawRepresentable, Codable, Equatable, Sendable {
    public let rawValue: String
    private let number: Int
    private let isRelative: Bool

    static let mostPixels = 100_000
    static let mostPercent = 1000
    /// What is expected, for messages.
    public static let expectation = "pixels from 0 to \(mostPixels), or per cent of the hole's longer side as in 50%"
    /// As much again on every side as half of the hole: the kept part then has three quarters of a square cut.
    static let standard = AreaPadding(percent: 50)

    public init?(rawValue: String) {
        isRelative = rawValue.hasSuffix("%")
        let digits = isRelative ? rawValue.dropLast() : rawValue[...]
        guard let number = Int(digits), (0...(isRelative ? Self.mostPercent : Self.mostPixels)).contains(number) else {
            return nil
        }
        self.number = number
        self.rawValue = "\(number)\(isRelative ? "%" : "")"
    }

    private init(percent: Int) {
        rawValue = "\(percent)%"
        number = percent
        isRelative = true
    }

    /// In pixels, around a hole whose longer side has so many.
    func pixels(of side: Int) -> Int { isRelative ? (side * number + 99) / 100 : number }
}
