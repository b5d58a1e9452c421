import Foundation
import ImageFiles
import InpaintingJobs
import Testing

/// Whether the shipped model could know a picture.
struct SceneLikenessTests {
    private static let examples =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path() + "examples/"

    private func likeness(_ picture: RGBImage, of photograph: RGBImage, repainted: Int = 0) -> SceneLikeness {
        let pixels = picture.width * picture.height
        let mask = (0..<pixels).map { UInt8($0 < repainted ? 1 : 0) }
        return SceneLikeness(
            picture, mask: BinaryMask(width: picture.width, height: picture.height, values: mask),
            photograph: PictureSize(width: photograph.width, height: photograph.height))
    }

    @Test func photographsAreToldFromDrawnScenes() throws {
        let coffee = try DecodedImage.read(Self.examples + "coffee.png").rgb
        for (width, height) in [(96, 64), (64, 48), (320, 208)] {
            let seen = likeness(coffee.resized(width: width, height: height), of: coffee)
            let warning = try #require(seen.warning(about: "coffee.png"), "\(seen)")
            #expect(warning.hasPrefix("coffee.png looks like a photograph") && warning.contains("--model"))
        }
        let meadow = try DecodedImage.read(Self.examples + "meadow.png").rgb
        for factor in [1, 4] {
            let drawn = RGBImage.strip([meadow], enlarged: factor)
            let seen = likeness(drawn.resized(width: 64, height: 64), of: drawn)
            #expect(seen.warning(about: "meadow.png") == nil, "\(seen)")
        }
    }

    /// Where everything is repainted, the picture says nothing.
    @Test func tooFewKeptPixelsSayNothing() throws {
        let coffee = try DecodedImage.read(Self.examples + "coffee.png").rgb
        let small = coffee.resized(width: 64, height: 64)
        #expect(likeness(small, of: coffee, repainted: 64 * 62).share != nil)
        #expect(likeness(small, of: coffee, repainted: 64 * 63).share == nil)
        let column = RGBImage(width: 1, height: 4, bytes: [UInt8](repeating: 0, count: 12))
        #expect(likeness(column, of: column).share == nil)
    }
}
