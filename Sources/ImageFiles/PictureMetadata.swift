/// What goes with a photograph from its file into the result's: how its numbers are to be shown, and EXIF data.
public struct PictureMetadata: Sendable, Equatable {
    public var colours = ColourSpace.unsaid
    public var resolution: Resolution?
    /// A TIFF structure, as a PNG's eXIf chunk holds it; empty for none.
    public var exif: [UInt8] = []

    public init() {}

    /// How close pixels are to each other on paper.
    public struct Resolution: Sendable, Equatable {
        public var horizontal: UInt32
        public var vertical: UInt32
        /// Otherwise the two numbers say the pixels' aspect alone.
        public var isPerMetre: Bool

        /// - Returns: nil for numbers that say nothing.
        init?(horizontal: UInt32, vertical: UInt32, isPerMetre: Bool) {
            guard horizontal > 0, vertical > 0, isPerMetre || horizontal != vertical else { return nil }
            self.horizontal = horizontal
            self.vertical = vertical
            self.isPerMetre = isPerMetre
        }

        /// - Parameter unit: in metres: an inch, a centimetre.
        init?(horizontal: Double, vertical: Double, unit: Double) {
            func perMetre(_ count: Double) -> UInt32? { UInt32(exactly: (count / unit).rounded()) }
            guard let horizontal = perMetre(horizontal), let vertical = perMetre(vertical) else { return nil }
            self.init(horizontal: horizontal, vertical: vertical, isPerMetre: true)
        }

        /// As it is for the picture with its sides swapped.
        var turned: Resolution {
            var result = self
            swap(&result.horizontal, &result.vertical)
            return result
        }
    }
}
