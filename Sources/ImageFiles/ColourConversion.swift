import CLittleCMS

/// How a picture's numbers become sRGB, which networks know, and how sRGB becomes such numbers.
public struct ColourConversion: Sendable {
    /// Nil if the numbers are taken for sRGB as they are.
    private let space: ColourSpace?
    /// Whether the numbers mean something else than sRGB, and can't be converted.
    private let isImpossible: Bool

    /// An eighth of the way from one corner of the cube to the next: 9 x 9 x 9 colours.
    private static let probes: RGBImage = {
        let levels = (0...8).map { UInt8(min(255, 32 * $0)) }
        let colours = levels.flatMap { red in levels.flatMap { green in levels.map { [red, green, $0] } } }
        return RGBImage(width: colours.count, height: 1, bytes: colours.flatMap { $0 })
    }()
    /// Profiles of sRGB differ from each other by the roundings of their makers.
    private static let roundings = 2

    /// Tries the conversions out on some hundred colours. A space whose numbers mean nearly what they mean in sRGB is
    /// not converted, so that pictures in it keep the bytes they have without a profile.
    public init(_ space: ColourSpace) {
        let there = Self.converted(Self.probes, toSRGB: true, space)
        guard let there, Self.converted(Self.probes, toSRGB: false, space) != nil else {
            self.space = nil
            isImpossible = !space.isTakenForSRGB
            return
        }
        isImpossible = false
        let difference = zip(there.bytes, Self.probes.bytes).lazy.map { abs(Int($0) - Int($1)) }.max() ?? 0
        self.space = difference <= Self.roundings ? nil : space
    }

    /// Whether numbers change.
    var converts: Bool { space != nil }

    /// What to tell a user whose photograph is not converted though it should be.
    public func warning(about path: String) -> String? {
        guard isImpossible else { return nil }
        return
            "\(path): its colour profile is kept, but can't be converted to sRGB and back: the model takes its colours "
            + "for sRGB"
    }

    /// Of a picture in the space.
    public func toSRGB(_ picture: RGBImage) -> RGBImage { converted(picture, toSRGB: true) }

    /// Of a picture in sRGB. What the space can't show becomes the nearest that it can.
    public func fromSRGB(_ picture: RGBImage) -> RGBImage { converted(picture, toSRGB: false) }

    private func converted(_ picture: RGBImage, toSRGB: Bool) -> RGBImage {
        // The initialiser has seen that it works.
        space.flatMap { Self.converted(picture, toSRGB: toSRGB, $0) } ?? picture
    }

    private static func converted(_ picture: RGBImage, toSRGB: Bool, _ space: ColourSpace) -> RGBImage? {
        var result = picture
        let isDone = space.withDescription { description in
            pilot_convert_colours(
                &description, toSRGB, picture.bytes, &result.bytes, UInt32(picture.width * picture.height))
        }
        return isDone == true ? result : nil
    }
}

extension ColourSpace {
    /// PNG's way to say sRGB before there was a chunk for it: an exponent of 1 / 2.2.
    private static let gammaOfSRGB: ClosedRange<Int32> = 45_000...46_000

    fileprivate var isTakenForSRGB: Bool {
        switch self {
        case .unsaid, .sRGB: true
        case .profile, .numbers: false
        }
    }

    /// Calls `body` with the space for Little CMS; nil if there is nothing that it could convert.
    fileprivate func withDescription<Result>(_ body: (inout pilot_colour_space) -> Result) -> Result? {
        var description = pilot_colour_space()
        switch self {
        case .unsaid, .sRGB: return nil
        case .profile(let profile):
            guard profile.hasBoundedWork else { return nil }
            return profile.bytes.withUnsafeBufferPointer { bytes in
                description.profile = bytes.baseAddress
                description.profile_size = bytes.count
                return body(&description)
            }
        case .numbers(let gamma, let chromaticities):
            description.gamma = gamma.map { Self.gammaOfSRGB.contains($0) ? 0 : $0 } ?? 0
            if let chromaticities, chromaticities.count == 8 {
                description.has_chromaticities = true
                withUnsafeMutableBytes(of: &description.chromaticities) { target in
                    chromaticities.withUnsafeBytes { target.copyMemory(from: $0) }
                }
            }
            return body(&description)
        }
    }
}
