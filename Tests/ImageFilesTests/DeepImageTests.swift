import ImageFiles
import Testing

/// Pictures of 16 bits a sample.
struct DeepImageTests {
    @Test(arguments: [
        "rgb-16.png", "rgba-16.png", "rgb-16-interlaced.png", "grey-alpha-16.png", "grey-alpha-16-interlaced.png",
    ])
    func theUpperByteIsThePicture(name: String) throws {
        let file = try Fixtures.bytes(name)
        let picture = try DecodedImage.decode(file, path: name)
        let deep = try #require(try picture.deep(file))
        #expect(deep.width == picture.width && deep.height == picture.height)
        #expect(deep.samples.map { UInt8($0 >> 8) } == picture.rgb.bytes)
        #expect(deep.samples.contains { $0 & 255 != $0 >> 8 })
        #expect(picture.isDeep)
    }

    /// A grey picture's 8 bits are rounded.
    @Test func greyIsAllThree() throws {
        let file = try Fixtures.bytes("grey-16.png")
        let picture = try DecodedImage.decode(file, path: "grey-16.png")
        let deep = try #require(try picture.deep(file))
        #expect(deep.samples.map { UInt8((Int($0) * 255 + 32767) / 65535) } == picture.rgb.bytes)
    }

    @Test func otherPicturesHaveNone() throws {
        for name in ["rgb-8.png", "palette-4.png", "grey.jpg"] {
            let file = try Fixtures.bytes(name)
            #expect(try DecodedImage.decode(file, path: name).deep(file) == nil)
        }
    }

    private let picture = DeepImage(
        width: 3, height: 2, samples: (0..<18).map { (index: UInt16) -> UInt16 in 3571 &* (index &+ 5) })

    /// Through a file, and held on its side: the picture's bits stay, and it is turned as its 8 bits are.
    @Test(arguments: 1...8)
    func comesBackUpright(orientation: Int) throws {
        var metadata = PictureMetadata()
        // A TIFF structure with one directory of one field, the orientation.
        let structure: [UInt8] = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0]
        let value: [UInt8] = [UInt8(orientation), 0, 0, 0, 0, 0, 0, 0]
        metadata.exif = structure + value
        let file = try picture.withPNG(of: metadata) { [UInt8]($0) }
        let decoded = try DecodedImage.decode(file, path: "a.png")
        let deep = try #require(try decoded.deep(file))
        #expect(deep.samples.map { UInt8($0 >> 8) } == decoded.rgb.bytes)
        #expect(deep.width == (orientation >= 5 ? 2 : 3))
        if orientation == 1 { #expect(deep == picture) }
    }

    @Test func keptSamplesStay() {
        var result = picture
        let mask = BinaryMask(width: 2, height: 1, values: [1, 0])
        result.paste(RGBImage(width: 2, height: 1, bytes: [255, 1, 0, 9, 9, 9]), x: 1, y: 1, mask: mask, feather: 0)
        var expected = picture.samples
        expected.replaceSubrange(12..<15, with: [65535, 257, 0])
        #expect(result.samples == expected)
        // At a distance of 1, half of each.
        result = picture
        result.paste(RGBImage(width: 2, height: 1, bytes: [255, 1, 0, 9, 9, 9]), x: 1, y: 1, mask: mask, feather: 1)
        let half = (Double(picture.samples[12]) + 65535) / 2
        #expect(result.samples[12] == UInt16(half.rounded(.toNearestOrEven)))
    }
}
